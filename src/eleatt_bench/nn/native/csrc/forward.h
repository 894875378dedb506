// The forward pass of a layer over the sequences of one tile.
#pragma once

#include "call.h"
#include "cells.h"

namespace eleatt {

// Every matrix of a layer, packed for products with rows of inputs and states.
template <class S, class Cell> struct ForwardWeights {
  S *ih, *ia, *ha, *bias, *bias_a;
  Recurrent<S> hh;

  ForwardWeights(const Call<S>& call, Scratch<S>& scratch) {
    const int64_t D = call.D, N = call.N, kN = Cell::blocks * N;
    ih = scratch.take(D * padded<S>(kN));
    bias = scratch.take(kN);
    hh.matrix = scratch.take(N * padded<S>(kN));
    hh.candidate = scratch.take(Cell::reset_before ? N * padded<S>(N) : 0);
    hh.bias = scratch.take(kN);
    ia = ha = bias_a = nullptr;
    if (call.gate == kNone) return;
    ia = scratch.take(D * padded<S>(D));
    ha = scratch.take(N * padded<S>(D));
    bias_a = scratch.take(D);
  }

  // Part `part` of five; the parts may be packed by different threads.
  void fill(const Call<S>& call, int part) const {
    const int64_t D = call.D, N = call.N, kN = Cell::blocks * N;
    const int64_t joint = Cell::reset_before ? 2 * N : kN;  // rows of W_h applied to h itself
    switch (part) {
      case 0: transposed(ih, call.weight_ih, kN, D); break;
      case 1: transposed(hh.matrix, call.weight_hh, joint, N); break;
      case 2:
        if (Cell::reset_before) transposed(hh.candidate, call.weight_hh + joint * N, N, N);
        if (ha) transposed(ha, call.weight_ha, D, N);
        break;
      case 3:
        if (ia) transposed(ia, call.weight_ia, D, D);
        break;
      default:
        vector(bias, call.bias, kN);
        vector(hh.bias, call.bias_hh, kN);
        if (bias_a) vector(bias_a, call.bias_a, D);
    }
  }

 private:
  static void transposed(S* out, const S* w, int64_t rows, int64_t columns) {
    pack<S, 16>(out, columns, rows, [=](int64_t p, int64_t j) { return w[j * columns + p]; });
  }
  static void vector(S* out, const S* values, int64_t n) {
    pack(out, 1, n, [=](int64_t, int64_t j) { return values ? values[j] : S(0); });
  }
};

template <class S, class Cell> class Forward {
 public:
  // Its memory, for tiles of up to `rows` sequences.
  Forward(const Call<S>& call, const ForwardWeights<S, Cell>& weights, int64_t rows,
          Scratch<S>& scratch)
      : call_(call), weights_(weights), chunk_(chunk_steps(rows)) {
    const int64_t kN = Cell::blocks * call.N, frames = rows * chunk_;
    const bool gated = call.gate != kNone;
    stride_ = padded<S>(kN) + Vector<S>::lanes;  // whole vectors from any block on
    gates_ = scratch.take((gated ? rows : frames) * stride_);
    hidden_ = scratch.take(rows * stride_);
    attention_stride_ = padded<S>(call.D);
    attention_ = scratch.take(gated ? frames * attention_stride_ : 0);
    attended_ = scratch.take(gated ? rows * attention_stride_ : 0);
    cell_ = scratch.take(Cell::has_cell && !call.cells ? rows * call.N : 0);
    x_ = scratch.template take_items<const S*>(frames);
    h_ = scratch.template take_items<const S*>(rows);
    c_ = scratch.template take_items<const S*>(rows);
    h_next_ = scratch.template take_items<S*>(rows);
    c_next_ = scratch.template take_items<S*>(rows);
    kept_ = scratch.template take_items<S*>(rows);
  }

  void run(const Tile<S>& tile) {
    tile.clear_padding(call_.outputs, call_.N);
    tile.clear_padding(call_.attention, call_.D);
    const int64_t steps = tile.steps();
    for (int64_t first = 0; first < steps; first += chunk_) {
      const int64_t last = first + chunk_ < steps ? first + chunk_ : steps;
      project(tile, first, last);
      int64_t n = tile.rows, done = 0;
      for (int64_t s = first; s < last; ++s, done += n) {
        n = tile.active(s, n);
        ForwardStep<S> step = views(tile, s, n);
        if (call_.gate == kNone) step.gates = gates_ + done * stride_;
        else attend(tile, s, n, done);
        Cell::forward(step, weights_.hh);
      }
    }
    finish(tile);
  }

 private:
  // What does not look at the state, for a chunk of steps: the gates' part, or the attention's.
  void project(const Tile<S>& tile, int64_t first, int64_t last) {
    int64_t frames = 0;
    for (int64_t s = first, n = tile.rows; s < last; ++s) {
      n = tile.active(s, n);
      for (int64_t i = 0; i < n; ++i) x_[frames++] = tile.x(s, i);
    }
    const int64_t D = call_.D;
    if (call_.gate == kNone) {
      multiply(frames, Cell::blocks * call_.N, D, Scattered<S>{x_}, 1, weights_.ih, weights_.bias,
               0, gates_, stride_);
    } else {
      multiply(frames, D, D, Scattered<S>{x_}, 1, weights_.ia, weights_.bias_a, 0, attention_,
               attention_stride_);
    }
  }

  // Where a step finds the states and leaves its own.
  ForwardStep<S> views(const Tile<S>& tile, int64_t s, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = tile.row(s, i);
      h_[i] = tile.before(call_.h_0, call_.outputs, s, i);
      h_next_[i] = call_.outputs + row * call_.N;
      if (call_.kept) kept_[i] = call_.kept + row * Cell::kept * call_.N;
      if (!Cell::has_cell) continue;
      if (call_.cells) {
        c_[i] = tile.before(call_.c_0, call_.cells, s, i);
        c_next_[i] = call_.cells + row * call_.N;
      } else {
        c_next_[i] = cell_ + i * call_.N;
        c_[i] = s == 0 ? call_.c_0 + tile.sequence(i) * call_.N : c_next_[i];
      }
    }
    return {.n = n,
            .N = call_.N,
            .h = h_,
            .c = c_,
            .h_next = h_next_,
            .c_next = c_next_,
            .kept = call_.kept ? kept_ : nullptr,
            .gates = gates_,
            .hidden = hidden_,
            .stride = stride_};
  }

  // Equations 4 and 5 for one step, and W_x x~ + b.
  void attend(const Tile<S>& tile, int64_t s, int64_t n, int64_t done) {
    const int64_t D = call_.D, N = call_.N;
    S* attention = attention_ + done * attention_stride_;
    add_product(n, D, N, Scattered<S>{h_}, 1, weights_.ha, attention, attention_stride_);
    for (int64_t i = 0; i < n; ++i) {
      S *a = attention + i * attention_stride_, *attended = attended_ + i * attention_stride_;
      const S* x = x_[done + i];
      respond(call_.gate == kSoftmax, D, a);
      each<S>(D, [=](auto part, int64_t j) {
        part.store(attended + j, part.load(a + j) * part.load(x + j));
      });
      if (call_.attention) std::memcpy(call_.attention + tile.row(s, i) * D, a, D * sizeof(S));
    }
    const Strided<S> attended{attended_, attention_stride_};
    multiply(n, Cell::blocks * N, D, attended, 1, weights_.ih, weights_.bias, 0, gates_, stride_);
  }

  void finish(const Tile<S>& tile) {
    const int64_t N = call_.N;
    for (int64_t i = 0; i < tile.rows; ++i) {
      const int64_t b = tile.sequence(i), last = tile.row(tile.length(i) - 1, i);
      std::memcpy(call_.h_n + b * N, call_.outputs + last * N, N * sizeof(S));
      if (!Cell::has_cell) continue;
      const S* c = call_.cells ? call_.cells + last * N : cell_ + i * N;
      std::memcpy(call_.c_n + b * N, c, N * sizeof(S));
    }
  }

  const Call<S>& call_;
  const ForwardWeights<S, Cell>& weights_;
  const int64_t chunk_;  // steps of a tile that are worked off together
  int64_t stride_, attention_stride_;
  S *gates_, *hidden_, *attention_, *attended_, *cell_;
  const S **x_, **h_, **c_;
  S **h_next_, **c_next_, **kept_;
};

}  // namespace eleatt
