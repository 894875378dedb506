// What the Python side hands over, and where the parts of a batch lie in it.
#pragma once

#include <cstdint>
#include <cstring>

#include "product.h"

namespace eleatt {

enum Kind : int64_t { kRnn, kLstm, kGru, kResetAfterGru };
enum Gate : int64_t { kNone, kSigmoid, kSoftmax };

// One layer in one direction. eleatt_bench/nn/native/__init__.py has the same fields in the same order, all
// of eight bytes. Arrays are (T, B, width) and contiguous, except that frame t of sequence b of the
// input begins at x + t * x_step + b * x_row. Null pointers stand for what there is not.
template <class S> struct Call {
  int64_t T, B, D, N;
  int64_t kind, gate, reverse, threads, tiles;
  int64_t x_step, x_row;
  const int64_t *lengths, *order;  // order: the sequences, the longest first
  const S *x, *h_0, *c_0;
  const S *weight_ih, *weight_hh, *bias, *bias_hh, *weight_ia, *weight_ha, *bias_a;
  S *outputs, *h_n, *c_n;                // results of the forward pass, outputs read by backward
  S *kept, *cells, *attention;           // what else the backward pass reads, or null
  const S *d_outputs, *d_attention, *d_h_n, *d_c_n;
  S *d_x, *d_h_0, *d_c_0;                // results of the backward pass, d_x if asked for
  S *d_weight_ih, *d_weight_hh, *d_bias, *d_bias_hh, *d_weight_ia, *d_weight_ha, *d_bias_a;
  S *scratch;
};

// Some sequences of the batch, the longest first; one thread walks them from the first step to the
// last. Sequences of one length are cut into runs, which lie together in every array. Others are
// dealt out in the order of their lengths, so that tiles are even.
template <class S> class Tile {
 public:
  Tile(const Call<S>& call, int64_t index)
      : call_(call),
        first_(call.order ? index : call.B * index / call.tiles),
        stride_(call.order ? call.tiles : 1),
        rows(call.order ? (call.B - index + call.tiles - 1) / call.tiles
                        : call.B * (index + 1) / call.tiles - first_) {}

  int64_t sequence(int64_t i) const {
    const int64_t rank = first_ + i * stride_;
    return call_.order ? call_.order[rank] : rank;
  }
  int64_t length(int64_t i) const { return call_.lengths ? call_.lengths[sequence(i)] : call_.T; }
  int64_t steps() const { return length(0); }

  // How many of the first `most` sequences have a step s.
  int64_t active(int64_t s, int64_t most) const {
    while (most > 0 && length(most - 1) <= s) --most;
    return most;
  }
  // The frame that sequence i reads at step s.
  int64_t time(int64_t s, int64_t i) const { return call_.reverse ? length(i) - 1 - s : s; }
  // Its row in an array (T, B, ...).
  int64_t row(int64_t s, int64_t i) const { return time(s, i) * call_.B + sequence(i); }
  const S* x(int64_t s, int64_t i) const {
    return call_.x + time(s, i) * call_.x_step + sequence(i) * call_.x_row;
  }
  // The state before step s.
  const S* before(const S* first, const S* states, int64_t s, int64_t i) const {
    const int64_t at = s == 0 ? sequence(i) : row(s - 1, i);
    return (s == 0 ? first : states) + at * call_.N;
  }
  // Zeros for the padding of the tile's sequences in an array (T, B, width).
  void clear_padding(S* array, int64_t width) const {
    if (!array || !call_.lengths) return;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t t = length(i); t < call_.T; ++t)
        std::memset(array + (t * call_.B + sequence(i)) * width, 0, width * sizeof(S));
  }

 private:
  const Call<S>& call_;
  const int64_t first_, stride_;

 public:
  const int64_t rows;
};

// Hands out pieces of the scratch memory that begin at whole vectors; without memory it counts.
template <class S> class Scratch {
 public:
  explicit Scratch(S* first) : first_(first) {}
  S* take(int64_t values) {
    S* piece = first_ ? first_ + used : nullptr;
    used += padded<S>(values) + Vector<S>::lanes;  // products write whole vectors
    used = (used * sizeof(S) + 63) / 64 * 64 / sizeof(S);
    return piece;
  }
  template <class Item> Item* take_items(int64_t count) {
    return reinterpret_cast<Item*>(take(count * sizeof(Item) / sizeof(S)));
  }
  int64_t used = 0;

 private:
  S* first_;
};

constexpr int64_t kChunkRows = 128;  // so many frames share the products that need no state

// Steps that tiles of up to so many sequences work off together.
inline int64_t chunk_steps(int64_t rows) { return rows < kChunkRows ? kChunkRows / rows : 1; }

}  // namespace eleatt
