// One step of each cell, forward and backward, for n sequences. Names and equations as in
// eleatt_bench/nn/equations.py; d... is the gradient of the loss by what follows. W_x x + b is
// there already; `kept` is how many blocks of N values per frame the backward pass needs.
#pragma once

#include "elementwise.h"
#include "product.h"

namespace eleatt {

// The recurrent matrix, packed; of a GRU in the paper's form that of r, z and that of n apart. The
// bias is b_h forward and zeros backward.
template <class S> struct Recurrent {
  S *matrix, *candidate, *bias;
};

template <class S> struct ForwardStep {
  int64_t n, N;
  const S* const* h;  // rows of the states before the step
  const S* const* c;  // LSTM
  S* const* h_next;   // and after it
  S* const* c_next;
  S* const* kept;     // null: nothing is kept
  S* gates;           // (n, stride): W_x x + b
  S* hidden;          // (n, stride): free
  int64_t stride;
};

template <class S> struct BackwardStep {
  int64_t n, N;
  const S *const *h, *const *c, *const *h_next, *const *c_next, *const *kept;
  S *dh, *dc;  // (n, state_stride): of the states after the step, to become those before it
  S* free;     // (n, state_stride)
  int64_t state_stride;
  S* dgates;   // (n, stride): of W_x x + b
  S* dhidden;  // (n, stride): of W_h h + b_h, where a cell has own_hidden
  int64_t stride;
};

struct Rnn {
  static constexpr int64_t blocks = 1, kept = 0;
  static constexpr bool has_cell = false, reset_before = false, own_hidden = false;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    add_product(s.n, N, N, Scattered<S>{s.h}, 1, w.matrix, s.gates, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      const S* gate = s.gates + i * s.stride;
      S* h_next = s.h_next[i];
      each<S>(N, [=](auto p, int64_t j) { p.store(h_next + j, tanh<S>(p.load(gate + j))); });
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      const S *dh = s.dh + i * s.state_stride, *h_next = s.h_next[i];
      S* dgate = s.dgates + i * s.stride;
      each<S>(N, [=](auto p, int64_t j) {
        const auto h = p.load(h_next + j);
        p.store(dgate + j, p.load(dh + j) * (1 - h * h));
      });
    }
    const Strided<S> dgates{s.dgates, s.stride};
    multiply(s.n, N, N, dgates, 1, w.matrix, w.bias, 0, s.dh, s.state_stride);
  }
};

struct Lstm {
  static constexpr int64_t blocks = 4, kept = 4;
  static constexpr bool has_cell = true, reset_before = false, own_hidden = false;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    add_product(s.n, 4 * N, N, Scattered<S>{s.h}, 1, w.matrix, s.gates, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      const S *gate = s.gates + i * s.stride, *c_before = s.c[i];
      S *h_next = s.h_next[i], *c_next = s.c_next[i], *kept = s.kept ? s.kept[i] : nullptr;
      each<S>(N, [=](auto p, int64_t j) {
        const auto in = sigmoid<S>(p.load(gate + j));
        const auto forget = sigmoid<S>(p.load(gate + N + j));
        const auto g = tanh<S>(p.load(gate + 2 * N + j));
        const auto out = sigmoid<S>(p.load(gate + 3 * N + j));
        const auto c = forget * p.load(c_before + j) + in * g;
        p.store(c_next + j, c);
        p.store(h_next + j, out * tanh<S>(c));
        if (!kept) return;
        p.store(kept + j, in);
        p.store(kept + N + j, forget);
        p.store(kept + 2 * N + j, g);
        p.store(kept + 3 * N + j, out);
      });
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      const S* dh = s.dh + i * s.state_stride;
      S *dc = s.dc + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      const S *gate = s.kept[i], *c_before = s.c[i], *c_next = s.c_next[i];
      each<S>(N, [=](auto p, int64_t j) {
        const auto in = p.load(gate + j), forget = p.load(gate + N + j);
        const auto g = p.load(gate + 2 * N + j), out = p.load(gate + 3 * N + j);
        const auto tanh_c = tanh<S>(p.load(c_next + j)), d = p.load(dh + j);
        const auto d_c = p.load(dc + j) + d * out * (1 - tanh_c * tanh_c);
        p.store(dgate + j, d_c * g * in * (1 - in));
        p.store(dgate + N + j, d_c * p.load(c_before + j) * forget * (1 - forget));
        p.store(dgate + 2 * N + j, d_c * in * (1 - g * g));
        p.store(dgate + 3 * N + j, d * tanh_c * out * (1 - out));
        p.store(dc + j, d_c * forget);
      });
    }
    const Strided<S> dgates{s.dgates, s.stride};
    multiply(s.n, N, 4 * N, dgates, 1, w.matrix, w.bias, 0, s.dh, s.state_stride);
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
      S* kept = s.kept ? s.kept[i] : nullptr;
      const S* h = s.h[i];
      each<S>(N, [=](auto p, int64_t j) {
        const auto r = sigmoid<S>(p.load(gate + j)), z = sigmoid<S>(p.load(gate + N + j));
        p.store(rh + j, r * p.load(h + j));
        p.store(gate + N + j, z);
        if (!kept) return;
        p.store(kept + j, r);
        p.store(kept + N + j, z);
      });
    }
    const Strided<S> rh{s.hidden, s.stride};
    add_product(s.n, N, N, rh, 1, w.candidate, s.gates + 2 * N, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      const S *gate = s.gates + i * s.stride, *h = s.h[i];
      S *h_next = s.h_next[i], *kept = s.kept ? s.kept[i] : nullptr;
      each<S>(N, [=](auto p, int64_t j) {
        const auto n = tanh<S>(p.load(gate + 2 * N + j));
        p.store(h_next + j, n + p.load(gate + N + j) * (p.load(h + j) - n));
        if (kept) p.store(kept + 2 * N + j, n);
      });
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      const S *gate = s.kept[i], *h = s.h[i];
      each<S>(N, [=](auto p, int64_t j) {
        const auto z = p.load(gate + N + j), n = p.load(gate + 2 * N + j), d = p.load(dh + j);
        p.store(dgate + N + j, d * (p.load(h + j) - n) * z * (1 - z));
        p.store(dgate + 2 * N + j, d * (1 - z) * (1 - n * n));
        p.store(dh + j, d * z);
      });
    }
    const Strided<S> dn{s.dgates + 2 * N, s.stride}, drz{s.dgates, s.stride};
    multiply(s.n, N, N, dn, 1, w.candidate, w.bias, 0, s.free, s.state_stride);
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      const S *drh = s.free + i * s.state_stride, *gate = s.kept[i], *h = s.h[i];
      each<S>(N, [=](auto p, int64_t j) {
        const auto r = p.load(gate + j), d = p.load(drh + j);
        p.store(dgate + j, d * p.load(h + j) * r * (1 - r));
        p.store(dh + j, p.load(dh + j) + d * r);
      });
    }
    add_product(s.n, N, 2 * N, drz, 1, w.matrix, s.dh, s.state_stride);
  }
};

// torch's and cuDNN's form: the reset gate multiplies behind the recurrent matrix and its bias.
struct ResetAfterGru {
  static constexpr int64_t blocks = 3, kept = 4;  // r, z, n and what r multiplies
  static constexpr bool has_cell = false, reset_before = false, own_hidden = true;

  template <class S> static void forward(const ForwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    multiply(s.n, 3 * N, N, Scattered<S>{s.h}, 1, w.matrix, w.bias, 0, s.hidden, s.stride);
    for (int64_t i = 0; i < s.n; ++i) {
      const S *gate = s.gates + i * s.stride, *hidden = s.hidden + i * s.stride, *h = s.h[i];
      S *h_next = s.h_next[i], *kept = s.kept ? s.kept[i] : nullptr;
      each<S>(N, [=](auto p, int64_t j) {
        const auto r = sigmoid<S>(p.load(gate + j) + p.load(hidden + j));
        const auto z = sigmoid<S>(p.load(gate + N + j) + p.load(hidden + N + j));
        const auto hn = p.load(hidden + 2 * N + j);
        const auto n = tanh<S>(p.load(gate + 2 * N + j) + r * hn);
        p.store(h_next + j, n + z * (p.load(h + j) - n));
        if (!kept) return;
        p.store(kept + j, r);
        p.store(kept + N + j, z);
        p.store(kept + 2 * N + j, n);
        p.store(kept + 3 * N + j, hn);
      });
    }
  }

  template <class S> static void backward(const BackwardStep<S>& s, const Recurrent<S>& w) {
    const int64_t N = s.N;
    for (int64_t i = 0; i < s.n; ++i) {
      S *dh = s.dh + i * s.state_stride, *dgate = s.dgates + i * s.stride;
      S* dhidden = s.dhidden + i * s.stride;
      const S *gate = s.kept[i], *h = s.h[i];
      each<S>(N, [=](auto p, int64_t j) {
        const auto r = p.load(gate + j), z = p.load(gate + N + j), n = p.load(gate + 2 * N + j);
        const auto d = p.load(dh + j), dn = d * (1 - z) * (1 - n * n);
        const auto dr = dn * p.load(gate + 3 * N + j) * r * (1 - r);
        const auto dz = d * (p.load(h + j) - n) * z * (1 - z);
        p.store(dgate + j, dr);
        p.store(dgate + N + j, dz);
        p.store(dgate + 2 * N + j, dn);
        p.store(dhidden + j, dr);
        p.store(dhidden + N + j, dz);
        p.store(dhidden + 2 * N + j, dn * r);
        p.store(dh + j, d * z);
      });
    }
    const Strided<S> dhidden{s.dhidden, s.stride};
    add_product(s.n, N, 3 * N, dhidden, 1, w.matrix, s.dh, s.state_stride);
  }
};

}  // namespace eleatt
