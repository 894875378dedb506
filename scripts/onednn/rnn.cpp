// A plain recurrent layer by oneDNN's own primitives, as scripts/bench_onednn.py calls it: one
// layer, one direction, float32, time first, a state that begins at zero.
//
// Weights come and gradients go as eleatt-bench and torch lay them out, (blocks * H, columns) row
// by row. As in a framework, they are reordered into the layout that the primitive prefers at
// every call, since every step of a training changes them; memory is allocated once.

#include <cstdio>
#include <cstring>
#include <exception>
#include <unordered_map>
#include <vector>

#include <omp.h>

#include "oneapi/dnnl/dnnl.hpp"

using namespace dnnl;
using Desc = memory::desc;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

namespace {

enum Cell { kRnn, kLstm, kGru, kGruResetAfter };

const auto kFloat = memory::data_type::f32;
const auto kForward = rnn_direction::unidirectional_left2right;

// Which of our blocks each of oneDNN's is: its GRU has the update gate before the reset gate.
const std::vector<int> kBlocks[] = {{0}, {0, 1, 2, 3}, {1, 0, 2}, {1, 0, 2}};

struct Layer {
  Layer(Cell cell, int T, int B, int D, int H, bool training)
      : cell(cell), H(H), D(D), engine(engine::kind::cpu, 0), stream(engine) {
    describe(T, B, training);
  }

  // Each of the four cells has types and orders of descriptors of its own.
  void describe(int T, int B, bool training);

  template <class Forward, class Backward, class Make, class MakeBack>
  void build(bool training, Make make, MakeBack make_back) {
    const auto kind = training ? prop_kind::forward_training : prop_kind::forward_inference;
    const typename Forward::primitive_desc plan = make(kind);
    forward = Forward(plan);
    arguments[DNNL_ARG_WEIGHTS_LAYER] = memory(plan.weights_layer_desc(), engine);
    arguments[DNNL_ARG_WEIGHTS_ITER] = memory(plan.weights_iter_desc(), engine);
    arguments[DNNL_ARG_BIAS] = memory(plan.bias_desc(), engine);
    const bool has_c = cell == kLstm;
    put_states(arguments, plan.src_iter_desc(), {DNNL_ARG_SRC_ITER, DNNL_ARG_DST_ITER});
    if (has_c)
      put_states(arguments, plan.src_iter_desc(), {DNNL_ARG_SRC_ITER_C, DNNL_ARG_DST_ITER_C});
    if (!training) return;
    const typename Backward::primitive_desc back = make_back(plan);
    backward = Backward(back);
    arguments[DNNL_ARG_WORKSPACE] = memory(plan.workspace_desc(), engine);
    back_arguments[DNNL_ARG_WEIGHTS_LAYER] = memory(back.weights_layer_desc(), engine);
    back_arguments[DNNL_ARG_WEIGHTS_ITER] = memory(back.weights_iter_desc(), engine);
    back_arguments[DNNL_ARG_DIFF_WEIGHTS_LAYER] = memory(back.diff_weights_layer_desc(), engine);
    back_arguments[DNNL_ARG_DIFF_WEIGHTS_ITER] = memory(back.diff_weights_iter_desc(), engine);
    back_arguments[DNNL_ARG_DIFF_BIAS] = memory(back.diff_bias_desc(), engine);
    put_states(back_arguments, plan.src_iter_desc(),
               {DNNL_ARG_DIFF_SRC_ITER, DNNL_ARG_DIFF_DST_ITER});
    if (has_c)
      put_states(back_arguments, plan.src_iter_desc(),
                 {DNNL_ARG_DIFF_SRC_ITER_C, DNNL_ARG_DIFF_DST_ITER_C});
  }

  // Zeros: what comes before the first frame, and the gradient of what comes after the last. The
  // primitives could do without them, but then oneDNN 3.2 takes h_t for h_{t-1} in the gradient of
  // the recurrent weights of RNN and LSTM.
  void put_states(Arguments& into, const Desc& desc, std::initializer_list<int> names) {
    for (int name : names) {
      into[name] = memory(desc, engine);
      std::memset(into[name].get_data_handle(), 0, desc.get_size());
    }
  }

  int blocks() const { return static_cast<int>(kBlocks[cell].size()); }
  int biases() const { return cell == kGruResetAfter ? 4 : blocks(); }

  Desc weights(int columns) const {  // as the caller lays them out
    return {{1, 1, columns, blocks(), H}, kFloat, Tag::ldgoi};
  }

  // `given`, its blocks in oneDNN's order.
  void order(const float* given, int columns, std::vector<float>& ordered) const {
    const std::size_t size = std::size_t(H) * columns;
    ordered.resize(size * blocks());
    for (int b = 0; b < blocks(); ++b)
      std::memcpy(&ordered[b * size], given + kBlocks[cell][b] * size, size * sizeof(float));
  }

  void order_back(const std::vector<float>& ordered, int columns, float* given) const {
    const std::size_t size = std::size_t(H) * columns;
    for (int b = 0; b < blocks(); ++b)
      std::memcpy(given + kBlocks[cell][b] * size, &ordered[b * size], size * sizeof(float));
  }

  // Into the layout that the primitive prefers.
  void put_weights(Arguments& into) {
    const std::vector<float>* all[] = {&w_layer, &w_iter};
    const int columns[] = {D, H};
    const int names[] = {DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER};
    for (int i = 0; i < 2; ++i) {
      memory source(weights(columns[i]), engine, const_cast<float*>(all[i]->data()));
      reorder(source, into[names[i]]).execute(stream, source, into[names[i]]);
    }
  }

  void run(const float* x, const float* w_ih, const float* w_hh, const float* b, const float* b_hh,
           float* output) {
    order(w_ih, D, w_layer);
    order(w_hh, H, w_iter);
    put_weights(arguments);
    order(b, 1, ordered_bias);
    float* bias = static_cast<float*>(arguments[DNNL_ARG_BIAS].get_data_handle());
    std::memcpy(bias, ordered_bias.data(), ordered_bias.size() * sizeof(float));
    if (cell == kGruResetAfter) {  // the gates have the sum, the candidate keeps them apart
      for (int i = 0; i < H; ++i) {
        bias[i] += b_hh[H + i];
        bias[H + i] += b_hh[i];
        bias[3 * H + i] = b_hh[2 * H + i];
      }
    }
    arguments[DNNL_ARG_SRC_LAYER] = memory(source, engine, const_cast<float*>(x));
    arguments[DNNL_ARG_DST_LAYER] = memory(destination, engine, output);
    forward.execute(stream, arguments);
    stream.wait();
  }

  void run_back(const float* d_output, float* d_x, float* d_w_ih, float* d_w_hh, float* d_b,
                float* d_b_hh) {
    put_weights(back_arguments);
    for (int name : {DNNL_ARG_SRC_LAYER, DNNL_ARG_DST_LAYER, DNNL_ARG_BIAS, DNNL_ARG_WORKSPACE,
                     DNNL_ARG_SRC_ITER, DNNL_ARG_DST_ITER})
      back_arguments[name] = arguments[name];
    if (cell == kLstm)
      for (int name : {DNNL_ARG_SRC_ITER_C, DNNL_ARG_DST_ITER_C})
        back_arguments[name] = arguments[name];
    back_arguments[DNNL_ARG_DIFF_DST_LAYER] =
        memory(destination, engine, const_cast<float*>(d_output));
    back_arguments[DNNL_ARG_DIFF_SRC_LAYER] = memory(source, engine, d_x);
    // The primitive adds to these.
    for (int name :
         {DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER, DNNL_ARG_DIFF_BIAS}) {
      memory& sum = back_arguments[name];
      std::memset(sum.get_data_handle(), 0, sum.get_desc().get_size());
    }
    backward.execute(stream, back_arguments);
    const int columns[] = {D, H};
    const int names[] = {DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER};
    float* outputs[] = {d_w_ih, d_w_hh};
    for (int i = 0; i < 2; ++i) {
      ordered.resize(std::size_t(blocks()) * H * columns[i]);
      memory plain(weights(columns[i]), engine, ordered.data());
      reorder(back_arguments[names[i]], plain).execute(stream, back_arguments[names[i]], plain);
      stream.wait();
      order_back(ordered, columns[i], outputs[i]);
    }
    const float* bias =
        static_cast<const float*>(back_arguments[DNNL_ARG_DIFF_BIAS].get_data_handle());
    ordered.assign(bias, bias + blocks() * H);
    order_back(ordered, 1, d_b);
    if (cell == kGruResetAfter) {
      std::memcpy(d_b_hh, d_b, 2 * H * sizeof(float));
      std::memcpy(d_b_hh + 2 * H, bias + 3 * H, H * sizeof(float));
    }
  }

  Cell cell;
  int H, D;
  dnnl::engine engine;
  dnnl::stream stream;
  Desc source, destination;
  primitive forward, backward;
  Arguments arguments, back_arguments;
  std::vector<float> w_layer, w_iter, ordered_bias, ordered;
};

void Layer::describe(int T, int B, bool training) {
  source = Desc({T, B, D}, kFloat, Tag::tnc);
  destination = Desc({T, B, H}, kFloat, Tag::tnc);
  const Desc state({1, 1, B, H}, kFloat, Tag::ldnc);
  const Desc w_layer({1, 1, D, blocks(), H}, kFloat, Tag::any);
  const Desc w_iter({1, 1, H, blocks(), H}, kFloat, Tag::any);
  const Desc bias({1, 1, biases(), H}, kFloat, Tag::ldgo);
  const auto tanh = algorithm::eltwise_tanh;
  const auto back = prop_kind::backward;
  const auto& e = engine;
  switch (cell) {
    case kRnn:
      return build<vanilla_rnn_forward, vanilla_rnn_backward>(
          training,
          [&](prop_kind kind) {
            return vanilla_rnn_forward::primitive_desc(
                e, kind, tanh, kForward, source, state, w_layer, w_iter, bias, destination, state);
          },
          [&](const auto& plan) {
            return vanilla_rnn_backward::primitive_desc(
                e, back, tanh, kForward, source, state, w_layer, w_iter, bias, destination, state,
                source, state, w_layer, w_iter, bias, destination, state, plan);
          });
    case kLstm:
      return build<lstm_forward, lstm_backward>(
          training,
          [&](prop_kind kind) {
            return lstm_forward::primitive_desc(e, kind, kForward, source, state, state, w_layer,
                                                w_iter, bias, destination, state, state);
          },
          [&](const auto& plan) {
            return lstm_backward::primitive_desc(
                e, back, kForward, source, state, state, w_layer, w_iter, bias, destination, state,
                state, source, state, state, w_layer, w_iter, bias, destination, state, state, plan);
          });
    case kGru:
      return build<gru_forward, gru_backward>(
          training,
          [&](prop_kind kind) {
            return gru_forward::primitive_desc(e, kind, kForward, source, state, w_layer, w_iter,
                                               bias, destination, state);
          },
          [&](const auto& plan) {
            return gru_backward::primitive_desc(e, back, kForward, source, state, w_layer, w_iter,
                                                bias, destination, state, source, state, w_layer,
                                                w_iter, bias, destination, state, plan);
          });
    case kGruResetAfter:
      return build<lbr_gru_forward, lbr_gru_backward>(
          training,
          [&](prop_kind kind) {
            return lbr_gru_forward::primitive_desc(e, kind, kForward, source, state, w_layer,
                                                   w_iter, bias, destination, state);
          },
          [&](const auto& plan) {
            return lbr_gru_backward::primitive_desc(
                e, back, kForward, source, state, w_layer, w_iter, bias, destination, state, source,
                state, w_layer, w_iter, bias, destination, state, plan);
          });
  }
}

thread_local char failure[512];

template <class Work> int guarded(Work work) {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    std::strncpy(failure, error.what(), sizeof failure - 1);
    return 1;
  }
}

}  // namespace

extern "C" {

const char* onednn_failure() { return failure; }

const char* onednn_version() {
  static char text[32];
  const version_t* v = dnnl::version();
  std::snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
  return text;
}

// Of the OpenMP that oneDNN uses, which need not be torch's.
void onednn_threads(int count) { omp_set_num_threads(count); }

void* onednn_new(int cell, int T, int B, int D, int H, int training) {
  Layer* made = nullptr;
  guarded([&] { made = new Layer(static_cast<Cell>(cell), T, B, D, H, training != 0); });
  return made;
}

void onednn_delete(void* layer) { delete static_cast<Layer*>(layer); }

int onednn_forward(void* layer, const float* x, const float* w_ih, const float* w_hh,
                   const float* b, const float* b_hh, float* output) {
  return guarded([&] { static_cast<Layer*>(layer)->run(x, w_ih, w_hh, b, b_hh, output); });
}

// After the forward pass of the same input, whose array and output's are read again.
int onednn_backward(void* layer, const float* d_output, float* d_x, float* d_w_ih, float* d_w_hh,
                    float* d_b, float* d_b_hh) {
  return guarded(
      [&] { static_cast<Layer*>(layer)->run_back(d_output, d_x, d_w_ih, d_w_hh, d_b, d_b_hh); });
}
}
