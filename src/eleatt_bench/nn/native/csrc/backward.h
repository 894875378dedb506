// The backward pass of a layer over the sequences of one tile.
#pragma once

#include "call.h"
#include "cells.h"
#include "subnormal.h"

namespace eleatt {

// Every matrix of a layer, packed for products with rows of gradients.
template <class S, class Cell> struct BackwardWeights {
  S *ih, *ia, *ha;
  Recurrent<S> hh;

  BackwardWeights(const Call<S>& call, Scratch<S>& scratch) {
    const int64_t D = call.D, N = call.N, kN = Cell::blocks * N;
    ih = scratch.take(kN * padded<S>(D));
    hh.matrix = scratch.take(kN * padded<S>(N));
    hh.candidate = scratch.take(Cell::reset_before ? N * padded<S>(N) : 0);
    hh.bias = scratch.take(zeros(call));
    ia = call.gate == kNone ? nullptr : scratch.take(D * padded<S>(D));
    ha = call.gate == kNone ? nullptr : scratch.take(D * padded<S>(N));
  }

  void fill(const Call<S>& call, int part) const {
    const int64_t D = call.D, N = call.N, kN = Cell::blocks * N;
    const int64_t joint = Cell::reset_before ? 2 * N : kN;
    switch (part) {
      case 0: plain(ih, call.weight_ih, kN, D); break;
      case 1: plain(hh.matrix, call.weight_hh, joint, N); break;
      case 2:
        if (Cell::reset_before) plain(hh.candidate, call.weight_hh + joint * N, N, N);
        break;
      case 3:
        if (ia) plain(ia, call.weight_ia, D, D);
        break;
      default:
        if (ha) plain(ha, call.weight_ha, D, N);
        pack(hh.bias, 1, zeros(call), [](int64_t, int64_t) { return S(0); });
    }
  }

 private:
  static int64_t zeros(const Call<S>& call) { return call.D > call.N ? call.D : call.N; }
  static void plain(S* out, const S* w, int64_t rows, int64_t columns) {
    pack(out, rows, columns, [=](int64_t p, int64_t j) { return w[p * columns + j]; });
  }
};

// The sums of one thread over its tiles, to be added up over the threads in their order: the result
// depends on the number of threads, not on which of them was faster.
template <class S, class Cell> struct Sums {
  S *ih, *hh, *ia, *ha, *bias, *bias_hh, *bias_a;

  Sums(const Call<S>& call, Scratch<S>& scratch) {
    const int64_t D = call.D, N = call.N, kN = Cell::blocks * N;
    const bool gated = call.gate != kNone;
    const int64_t first = scratch.used;
    ih = scratch.take(kN * padded<S>(D));
    hh = scratch.take(kN * padded<S>(N));
    bias = scratch.take(kN);
    bias_hh = scratch.take(Cell::own_hidden ? kN : 0);
    ia = gated ? scratch.take(D * padded<S>(D)) : nullptr;
    ha = gated ? scratch.take(D * padded<S>(N)) : nullptr;
    bias_a = gated ? scratch.take(D) : nullptr;
    size = scratch.used - first;
  }
  void clear() const { std::memset(ih, 0, size * sizeof(S)); }

 private:
  int64_t size;
};

template <class S, class Cell> class Backward {
 public:
  // Its memory, for tiles of up to `rows` sequences.
  Backward(const Call<S>& call, const BackwardWeights<S, Cell>& weights, int64_t rows,
           Scratch<S>& scratch)
      : sums(call, scratch),
        call_(call),
        weights_(weights),
        chunk_(chunk_steps(rows)),
        gated_(call.gate != kNone) {
    const int64_t frames = rows * chunk_;
    stride_ = padded<S>(Cell::blocks * call.N) + Vector<S>::lanes;
    state_stride_ = padded<S>(call.N);
    input_stride_ = padded<S>(call.D);
    dgates_ = scratch.take(frames * stride_);
    dhidden_ = Cell::own_hidden ? scratch.take(frames * stride_) : dgates_;
    dpre_ = scratch.take(gated_ ? frames * input_stride_ : 0);
    dx_ = scratch.take(frames * input_stride_);
    panel_ = scratch.take(frames * (input_stride_ > state_stride_ ? input_stride_ : state_stride_));
    dh_ = scratch.take(rows * state_stride_);
    dc_ = scratch.take(rows * state_stride_);
    free_ = scratch.take(rows * state_stride_);
    row_ = scratch.template take_items<int64_t>(frames);
    x_ = scratch.template take_items<const S*>(frames);
    h_ = scratch.template take_items<const S*>(frames);
    h_next_ = scratch.template take_items<const S*>(frames);
    c_ = scratch.template take_items<const S*>(frames);
    c_next_ = scratch.template take_items<const S*>(frames);
    kept_ = scratch.template take_items<const S*>(frames);
  }

  void run(const Tile<S>& tile) {
    const SubnormalsAreZero mode;
    tile.clear_padding(call_.d_x, call_.D);
    const int64_t steps = tile.steps();
    int64_t begun = 0;  // sequences whose last step has been reached
    for (int64_t first = (steps - 1) / chunk_ * chunk_; first >= 0; first -= chunk_) {
      const int64_t last = first + chunk_ < steps ? first + chunk_ : steps;
      const int64_t frames = views(tile, first, last);
      for (int64_t s = last - 1, behind = frames; s >= first; --s) {
        const int64_t n = tile.active(s, tile.rows);
        for (; begun < n; ++begun) begin(tile.sequence(begun), begun);
        behind -= n;
        step(n, behind);
        if (gated_) attend(n, behind);
      }
      if (call_.d_x) input_gradient(frames);
      if (call_.d_weight_ih) weight_gradients(frames);
    }
    for (int64_t i = 0; i < tile.rows; ++i) {
      const int64_t at = tile.sequence(i) * call_.N, size = call_.N * sizeof(S);
      std::memcpy(call_.d_h_0 + at, dh_ + i * state_stride_, size);
      if (Cell::has_cell) std::memcpy(call_.d_c_0 + at, dc_ + i * state_stride_, size);
    }
  }

  const Sums<S, Cell> sums;

 private:
  // Where the frames of a chunk lie, in the order in which the steps read them; how many they are.
  int64_t views(const Tile<S>& tile, int64_t first, int64_t last) {
    const int64_t N = call_.N;
    int64_t f = 0;
    for (int64_t s = first, n = tile.rows; s < last; ++s) {
      n = tile.active(s, n);
      for (int64_t i = 0; i < n; ++i, ++f) {
        const int64_t row = row_[f] = tile.row(s, i);
        x_[f] = tile.x(s, i);
        h_[f] = tile.before(call_.h_0, call_.outputs, s, i);
        h_next_[f] = call_.outputs + row * N;
        kept_[f] = call_.kept + row * Cell::kept * N;
        if (!Cell::has_cell) continue;
        c_[f] = tile.before(call_.c_0, call_.cells, s, i);
        c_next_[f] = call_.cells + row * N;
      }
    }
    return f;
  }

  // Begins with the gradient of a sequence's last state.
  void begin(int64_t sequence, int64_t i) {
    start(dh_ + i * state_stride_, call_.d_h_n, sequence);
    start(dc_ + i * state_stride_, call_.d_c_n, sequence);
  }
  void start(S* d, const S* given, int64_t sequence) {
    const int64_t N = call_.N;
    if (given) std::memcpy(d, given + sequence * N, N * sizeof(S));
    else std::memset(d, 0, N * sizeof(S));
  }

  // A step of the cell; f is its first frame in the chunk.
  void step(int64_t n, int64_t f) {
    const int64_t N = call_.N;
    for (int64_t i = 0; call_.d_outputs && i < n; ++i)
      add(N, call_.d_outputs + row_[f + i] * N, dh_ + i * state_stride_);
    const BackwardStep<S> at{.n = n,
                             .N = N,
                             .h = h_ + f,
                             .c = c_ + f,
                             .h_next = h_next_ + f,
                             .c_next = c_next_ + f,
                             .kept = kept_ + f,
                             .dh = dh_,
                             .dc = dc_,
                             .free = free_,
                             .state_stride = state_stride_,
                             .dgates = dgates_ + f * stride_,
                             .dhidden = dhidden_ + f * stride_,
                             .stride = stride_};
    Cell::backward(at, weights_.hh);
  }

  // Through x~ = a * x and the attention gate, to the state.
  void attend(int64_t n, int64_t f) {
    const int64_t D = call_.D;
    const Strided<S> dgates{dgates_ + f * stride_, stride_};
    S *dx = dx_ + f * input_stride_, *dpre = dpre_ + f * input_stride_;
    multiply(n, D, Cell::blocks * call_.N, dgates, 1, weights_.ih, weights_.hh.bias, 0, dx,
             input_stride_);
    for (int64_t i = 0; i < n; ++i) {
      S *d = dpre + i * input_stride_, *d_x = dx + i * input_stride_;
      const S *x = x_[f + i], *a = call_.attention + row_[f + i] * D;
      each<S>(D, [=](auto part, int64_t j) {
        const auto d_j = part.load(d_x + j);
        part.store(d + j, d_j * part.load(x + j));
        part.store(d_x + j, d_j * part.load(a + j));
      });
      if (call_.d_attention) add(D, call_.d_attention + row_[f + i] * D, d);
      respond_backward(call_.gate == kSoftmax, D, a, d);
    }
    add_product(n, call_.N, D, Strided<S>{dpre, input_stride_}, 1, weights_.ha, dh_,
                state_stride_);
  }

  void input_gradient(int64_t frames) {
    const int64_t D = call_.D;
    if (gated_) {
      const Strided<S> dpre{dpre_, input_stride_};
      add_product(frames, D, D, dpre, 1, weights_.ia, dx_, input_stride_);
    } else {
      const Strided<S> dgates{dgates_, stride_};
      multiply(frames, D, Cell::blocks * call_.N, dgates, 1, weights_.ih, weights_.hh.bias, 0, dx_,
               input_stride_);
    }
    for (int64_t f = 0; f < frames; ++f)
      std::memcpy(call_.d_x + row_[f] * D, dx_ + f * input_stride_, D * sizeof(S));
  }

  // Of all frames of a chunk at once: sums of outer products.
  void weight_gradients(int64_t frames) {
    const int64_t D = call_.D, N = call_.N, kN = Cell::blocks * N;
    const int64_t joint = Cell::reset_before ? 2 * N : kN;
    const Strided<S> dgates{dgates_, 1}, dhidden{dhidden_, 1}, dpre{dpre_, 1};  // columns
    add_rows(frames, kN, dgates_, stride_, sums.bias);
    if (Cell::own_hidden) add_rows(frames, kN, dhidden_, stride_, sums.bias_hh);

    pack(panel_, frames, N, [this](int64_t f, int64_t j) { return h_[f][j]; });
    add_product(joint, N, frames, dhidden, stride_, panel_, sums.hh, state_stride_);
    if (gated_) add_product(D, N, frames, dpre, input_stride_, panel_, sums.ha, state_stride_);
    if (Cell::reset_before) {
      pack(panel_, frames, N, [this](int64_t f, int64_t j) { return kept_[f][j] * h_[f][j]; });
      S* candidate = sums.hh + joint * state_stride_;
      add_product(N, N, frames, dgates.from(joint), stride_, panel_, candidate, state_stride_);
    }
    pack(panel_, frames, D, [this](int64_t f, int64_t j) { return x_[f][j]; });
    if (gated_) {
      add_product(D, D, frames, dpre, input_stride_, panel_, sums.ia, input_stride_);
      add_rows(frames, D, dpre_, input_stride_, sums.bias_a);
      pack(panel_, frames, D, [this, D](int64_t f, int64_t j) {
        return call_.attention[row_[f] * D + j] * x_[f][j];
      });
    }
    add_product(kN, D, frames, dgates, stride_, panel_, sums.ih, input_stride_);
  }

  static void add_rows(int64_t rows, int64_t n, const S* from, int64_t stride, S* to) {
    for (int64_t i = 0; i < rows; ++i) add(n, from + i * stride, to);
  }
  static void add(int64_t n, const S* from, S* to) {
    each<S>(n, [=](auto part, int64_t j) {
      part.store(to + j, part.load(to + j) + part.load(from + j));
    });
  }

  const Call<S>& call_;
  const BackwardWeights<S, Cell>& weights_;
  const int64_t chunk_;
  const bool gated_;
  int64_t stride_, state_stride_, input_stride_;
  S *dgates_, *dhidden_, *dpre_, *dx_, *panel_, *dh_, *dc_, *free_;
  int64_t* row_;
  const S **x_, **h_, **h_next_, **c_, **c_next_, **kept_;
};

}  // namespace eleatt
