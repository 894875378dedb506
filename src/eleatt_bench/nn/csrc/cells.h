// One step of each cell, forward and backward, for n sequences. Names and equations as in
// eleatt_bench/nn/equations.py; d... is the gradient of the loss by what follows. W_x x + b is
// there already; what a cell keeps for its backward pass is `kept` blocks of N values per frame.
#pragma once

#include "elementwise.h"
#include "product.h"

namespace eleatt {

// The recurrent matrix, packed; of a GRU in the paper's form that of r, z and that of n apart.
template <class S> struct Recurrent {
  S *matrix, *candidate, *bias;
};

template <class S> struct ForwardStep {
  int64_t n, N;
  const S* const* h;         // rows of the states before the step
  const S* const* c;         // LSTM
  S* const* h_next;          // and after it
  S* const* c_next;
  S* const* kept;            // null: nothing is kept
  S* gates;                  // (n, stride), W_x x + b
  S* hidden;                 // (n, stride), free
  int64_t stride;
};

template <class S> struct BackwardStep {
  int64_t n, N;
  const S *const *h, *const *c, *const *h_next, *const *c_next, *const *kept;
  S *dh, *dc;                // (n, state_stride): of the states after the step, then before it
  int64_t state_stride;
  S* dgates;                 // (n, stride): of W_x x + b
  S* dhidden;                // (n, stride): of W_h h + b_h where that differs
  int64_t stride;
  S* free;                   // (n, state_stride)
};

// What of the recurrent matrix's gradient one product makes: rows [first, first + rows) of it are
// the sum over frames of column first, first + 1, ... of dgates (or dhidden) times the state.
struct Rnn {
  static constexpr int64_t blocks = 1, kept = 0;
  static constexpr bool has_cell = false, reset_before = false, own_hidden = false;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    add_product(s.n, N, N, Scattered<S>{s.h}, 1, w.matrix, s.gates, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      const S* gate = s.gates + i * s.stride;
      S* h_next = s.h_next[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) h_next[j] = tanh(gate[j]);
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      const S* h_next = s.h_next[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        dgate[j] = dh[j] * (1 - h_next[j] * h_next[j]);
        dh[j] = 0;
      }
    }
    const Strided<S> dgates{s.dgates, s.stride};
    add_product(s.n, N, N, dgates, 1, w.matrix, s.dh, s.state_stride);
  }
};

struct Lstm {
  static constexpr int64_t blocks = 4, kept = 4;
  static constexpr bool has_cell = true, reset_before = false, own_hidden = false;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    add_product(s.n, 4 * N, N, Scattered<S>{s.h}, 1, w.matrix, s.gates, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      S* gate = s.gates + i * s.stride;
      S *h_next = s.h_next[i], *c_next = s.c_next[i];
      const S* c = s.c[i];
#pragma omp simd
      for (int64_t j = 0; j < 2 * N; ++j) gate[j] = sigmoid(gate[j]);
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S in = gate[j], forget = gate[N + j];
        const S g = tanh(gate[2 * N + j]), out = sigmoid(gate[3 * N + j]);
        const S cell = forget * c[j] + in * g;
        gate[2 * N + j] = g;
        gate[3 * N + j] = out;
        c_next[j] = cell;
        h_next[j] = out * tanh(cell);
      }
      if (s.kept) std::memcpy(s.kept[i], gate, 4 * N * sizeof(S));
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dc = s.dc + i * s.state_stride;
      S* dgate = s.dgates + i * s.stride;
      const S *gate = s.kept[i], *c = s.c[i], *c_next = s.c_next[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S in = gate[j], forget = gate[N + j], g = gate[2 * N + j], out = gate[3 * N + j];
        const S tanh_c = tanh(c_next[j]);
        const S dcell = dc[j] + dh[j] * out * (1 - tanh_c * tanh_c);
        dgate[j] = dcell * g * in * (1 - in);
        dgate[N + j] = dcell * c[j] * forget * (1 - forget);
        dgate[2 * N + j] = dcell * in * (1 - g * g);
        dgate[3 * N + j] = dh[j] * tanh_c * out * (1 - out);
        dc[j] = dcell * forget;
        dh[j] = 0;
      }
    }
    const Strided<S> dgates{s.dgates, s.stride};
    add_product(s.n, N, 4 * N, dgates, 1, w.matrix, s.dh, s.state_stride);
  }
};

// The paper's form: the reset gate multiplies the state before the recurrent matrix.
struct Gru {
  static constexpr int64_t blocks = 3, kept = 3;
  static constexpr bool has_cell = false, reset_before = true, own_hidden = false;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    add_product(s.n, 2 * N, N, Scattered<S>{s.h}, 1, w.matrix, s.gates, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      S *gate = s.gates + i * s.stride, *rh = s.hidden + i * s.stride;
      const S* h = s.h[i];
#pragma omp simd
      for (int64_t j = 0; j < 2 * N; ++j) gate[j] = sigmoid(gate[j]);
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) rh[j] = gate[j] * h[j];
    }
    const Strided<S> rh{s.hidden, s.stride};
    add_product(s.n, N, N, rh, 1, w.candidate, s.gates + 2 * N, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      S *gate = s.gates + i * s.stride, *h_next = s.h_next[i];
      const S* h = s.h[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S n = tanh(gate[2 * N + j]);
        gate[2 * N + j] = n;
        h_next[j] = n + gate[N + j] * (h[j] - n);
      }
      if (s.kept) std::memcpy(s.kept[i], gate, 3 * N * sizeof(S));
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      S* drh = s.free + i * s.state_stride;
      const S *gate = s.kept[i], *h = s.h[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S z = gate[N + j], n = gate[2 * N + j];
        dgate[N + j] = dh[j] * (h[j] - n) * z * (1 - z);
        dgate[2 * N + j] = dh[j] * (1 - z) * (1 - n * n);
        dh[j] *= z;
        drh[j] = 0;
      }
    }
    const Strided<S> dn{s.dgates + 2 * N, s.stride}, drz{s.dgates, s.stride};
    add_product(s.n, N, N, dn, 1, w.candidate, s.free, s.state_stride);
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      const S *drh = s.free + i * s.state_stride, *gate = s.kept[i], *h = s.h[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S r = gate[j];
        dgate[j] = drh[j] * h[j] * r * (1 - r);
        dh[j] += drh[j] * r;
      }
    }
    add_product(s.n, N, 2 * N, drz, 1, w.matrix, s.dh, s.state_stride);
  }
};

// torch's and cuDNN's form: the reset gate multiplies behind the recurrent matrix and its bias.
struct ResetAfterGru {
  static constexpr int64_t blocks = 3, kept = 4;  // r, z, n and W_h h + b_h of n
  static constexpr bool has_cell = false, reset_before = false, own_hidden = true;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    multiply(s.n, 3 * N, N, Scattered<S>{s.h}, 1, w.matrix, w.bias, 0, s.hidden, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      S *gate = s.gates + i * s.stride, *hidden = s.hidden + i * s.stride, *h_next = s.h_next[i];
      const S* h = s.h[i];
#pragma omp simd
      for (int64_t j = 0; j < 2 * N; ++j) gate[j] = sigmoid(gate[j] + hidden[j]);
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S n = tanh(gate[2 * N + j] + gate[j] * hidden[2 * N + j]);
        gate[2 * N + j] = n;
        h_next[j] = n + gate[N + j] * (h[j] - n);
      }
      if (s.kept) {
        std::memcpy(s.kept[i], gate, 3 * N * sizeof(S));
        std::memcpy(s.kept[i] + 3 * N, hidden + 2 * N, N * sizeof(S));
      }
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      S* dhidden = s.dhidden + i * s.stride;
      const S *gate = s.kept[i], *h = s.h[i];
#pragma omp simd
      for (int64_t j = 0; j < N; ++j) {
        const S r = gate[j], z = gate[N + j], n = gate[2 * N + j];
        const S dn = dh[j] * (1 - z) * (1 - n * n);
        const S dr = dn * gate[3 * N + j] * r * (1 - r);
        const S dz = dh[j] * (h[j] - n) * z * (1 - z);
        dgate[j] = dhidden[j] = dr;
        dgate[N + j] = dhidden[N + j] = dz;
        dgate[2 * N + j] = dn;
        dhidden[2 * N + j] = dn * r;
        dh[j] *= z;
      }
    }
    const Strided<S> dhidden{s.dhidden, s.stride};
    add_product(s.n, N, 3 * N, dhidden, 1, w.matrix, s.dh, s.state_stride);
  }
};

}  // namespace eleatt
