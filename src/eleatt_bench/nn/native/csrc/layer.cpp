// The passes of a layer over all tiles, on as many threads as the call says, and the entry points.
#include <omp.h>

#include <vector>

#include "backward.h"
#include "forward.h"

namespace eleatt {

constexpr int kParts = 5;  // of a layer's matrices, packed in parallel

template <class S> int64_t tile_rows(const Call<S>& call) {
  return call.B ? (call.B + call.tiles - 1) / call.tiles : 1;
}

// Runs the pass or, without scratch memory, only says how many values of it are needed.
template <class S, class Weights, class Pass, class Finish>
int64_t over_tiles(const Call<S>& call, Finish finish) {
  Scratch<S> scratch(call.scratch), count(nullptr);
  const Weights weights(call, scratch);
  Pass(call, weights, tile_rows(call), count);
  const int64_t shared = scratch.used, own = count.used;
  if (!call.scratch) return shared + own * call.threads;
#pragma omp parallel num_threads(static_cast<int>(call.threads))
  {
#pragma omp for schedule(static, 1)
    for (int part = 0; part < kParts; ++part) weights.fill(call, part);
    const int64_t thread = omp_get_thread_num(), team = omp_get_num_threads();
    Scratch<S> mine(call.scratch + shared + thread * own);
    Pass pass(call, weights, tile_rows(call), mine);
    finish.begin(pass, thread);
    for (int64_t tile = thread; tile < call.tiles; tile += team) pass.run(Tile<S>(call, tile));
#pragma omp barrier
    finish.end(thread, team);
  }
  return 0;
}

template <class Pass> struct NothingToFinish {
  void begin(Pass&, int64_t) {}
  void end(int64_t, int64_t) {}
};

// Adds up the threads' weight gradients, each thread some of the rows.
template <class S, class Cell> struct AddSums {
  const Call<S>& call;
  std::vector<const Sums<S, Cell>*> sums;  // of each thread

  explicit AddSums(const Call<S>& call) : call(call), sums(call.threads) {}

  void begin(const Backward<S, Cell>& pass, int64_t thread) {
    sums[thread] = &pass.sums;
    if (call.d_weight_ih) pass.sums.clear();
  }
  void end(int64_t thread, int64_t team) {
    if (!call.d_weight_ih) return;
    const int64_t D = call.D, N = call.N, kN = Cell::blocks * N;
    auto add = [this, thread, team](S* out, S* Sums<S, Cell>::*part, int64_t rows, int64_t columns) {
      if (!out) return;
      const int64_t stride = padded<S>(columns);
      for (int64_t i = thread; i < rows; i += team)
        for (int64_t j = 0; j < columns; ++j) {
          S sum = 0;
          for (int64_t t = 0; t < team; ++t) sum += (sums[t]->*part)[i * stride + j];
          out[i * columns + j] = sum;
        }
    };
    add(call.d_weight_ih, &Sums<S, Cell>::ih, kN, D);
    add(call.d_weight_hh, &Sums<S, Cell>::hh, kN, N);
    add(call.d_bias, &Sums<S, Cell>::bias, 1, kN);
    add(call.d_bias_hh, &Sums<S, Cell>::bias_hh, 1, kN);
    add(call.d_weight_ia, &Sums<S, Cell>::ia, D, D);
    add(call.d_weight_ha, &Sums<S, Cell>::ha, D, N);
    add(call.d_bias_a, &Sums<S, Cell>::bias_a, 1, D);
#pragma omp barrier
  }
};

template <class S, class Cell> int64_t forward(const Call<S>& call) {
  using Pass = Forward<S, Cell>;
  return over_tiles<S, ForwardWeights<S, Cell>, Pass>(call, NothingToFinish<Pass>());
}

template <class S, class Cell> int64_t backward(const Call<S>& call) {
  using Pass = Backward<S, Cell>;
  return over_tiles<S, BackwardWeights<S, Cell>, Pass>(call, AddSums<S, Cell>(call));
}

template <class S> int64_t forward(const Call<S>& call) {
  switch (call.kind) {
    case kRnn: return forward<S, Rnn>(call);
    case kLstm: return forward<S, Lstm>(call);
    case kGru: return forward<S, Gru>(call);
    default: return forward<S, ResetAfterGru>(call);
  }
}

template <class S> int64_t backward(const Call<S>& call) {
  switch (call.kind) {
    case kRnn: return backward<S, Rnn>(call);
    case kLstm: return backward<S, Lstm>(call);
    case kGru: return backward<S, Gru>(call);
    default: return backward<S, ResetAfterGru>(call);
  }
}

}  // namespace eleatt

extern "C" {
int64_t eleatt_call_bytes() { return sizeof(eleatt::Call<float>); }
int64_t eleatt_forward_float32(const eleatt::Call<float>* call) { return eleatt::forward(*call); }
int64_t eleatt_forward_float64(const eleatt::Call<double>* call) { return eleatt::forward(*call); }
int64_t eleatt_backward_float32(const eleatt::Call<float>* call) { return eleatt::backward(*call); }
int64_t eleatt_backward_float64(const eleatt::Call<double>* call) {
  return eleatt::backward(*call);
}
}
