// Matrix products whose right operand stays packed: a layer multiplies by the same few matrices at
// every step, for a handful of rows at a time, which is where a general BLAS loses most.
#pragma once

#include "vector.h"

namespace eleatt {

// 6 * kPanel sums, kPanel loads and a factor fit in the registers.
constexpr int kPanel = kRegisters == 32 ? 4 : 2;

// How many rows go with a panel of so many vectors: with fewer sums, a processor that begins two
// every cycle would wait for each to end.
constexpr int rows_beside(int vectors) {
  const int fit = 6 * kPanel / vectors;
  return fit < 8 ? fit : 8;
}

// How many vectors wide the next panel is when so many are left: 7 are 4 and 3, not 4, 2 and 1.
inline int64_t panel_width(int64_t left) {
  const int64_t panels = (left + kPanel - 1) / kPanel;
  return (left + panels - 1) / panels;
}

// The (k, n) matrix whose element (p, j) is at(p, j), panel after panel, in each row after row,
// with zeros up to whole vectors: k * padded(n) values. `run` rows are read at a time, column by
// column: 1 where a row lies together in memory, more where a column does.
template <class S, int64_t run = 1, class At> void pack(S* out, int64_t k, int64_t n, At at) {
  constexpr int64_t L = Vector<S>::lanes;
  const int64_t vectors = padded<S>(n) / L;
  for (int64_t v = 0; v < vectors; v += panel_width(vectors - v)) {
    const int64_t first = v * L, width = panel_width(vectors - v) * L;
    const int64_t full = n - first < width ? n - first : width;
    for (int64_t p = 0; p < k; p += run, out += run * width) {
      const int64_t rows = k - p < run ? k - p : run;
      for (int64_t j = 0; j < full; ++j)
        for (int64_t i = 0; i < rows; ++i) out[i * width + j] = at(p + i, first + j);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = full; j < width; ++j) out[i * width + j] = 0;
      if (rows < run) out -= (run - rows) * width;
    }
  }
}

// A left operand: element (i, p) is operand[i][p * step].
template <class S> struct Strided {  // rows, or with stride 1 columns, of one array
  const S* first;
  int64_t stride;
  const S* operator[](int64_t i) const { return first + i * stride; }
  Strided from(int64_t i) const { return {first + i * stride, stride}; }
};

template <class S> struct Scattered {  // rows that lie anywhere
  const S* const* rows;
  const S* operator[](int64_t i) const { return rows[i]; }
  Scattered from(int64_t i) const { return {rows + i}; }
};

// M rows of the product with one panel of P vectors. The sums stay in registers only if the loops
// over them are unrolled.
template <class S, int M, int P, class A>
inline void block(int64_t k, A a, int64_t step, const S* b, const S* start, int64_t start_stride,
                  S* c, int64_t c_stride) {
  constexpr int64_t L = Vector<S>::lanes;
  typename Vector<S>::type sum[M * P];
  const S* row[M];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) row[i] = a[i];
#pragma GCC unroll 24
  for (int e = 0; e < M * P; ++e) sum[e] = load(start + e / P * start_stride + e % P * L);
  for (int64_t p = 0, at = 0; p < k; ++p, at += step, b += P * L) {
#pragma GCC unroll 24
    for (int e = 0; e < M * P; ++e) sum[e] += row[e / P][at] * load(b + e % P * L);
  }
#pragma GCC unroll 24
  for (int e = 0; e < M * P; ++e) store(c + e / P * c_stride + e % P * L, sum[e]);
}

// `block` of `rows`, which are M or fewer.
template <class S, int M, int P, class A>
inline void block_of(int64_t rows, int64_t k, A a, int64_t step, const S* b, const S* start,
                     int64_t start_stride, S* c, int64_t c_stride) {
  if constexpr (M > 1)
    if (rows < M)
      return block_of<S, M - 1, P>(rows, k, a, step, b, start, start_stride, c, c_stride);
  block<S, M, P>(k, a, step, b, start, start_stride, c, c_stride);
}

template <class S, int P, class A>
inline void blocks(int64_t m, int64_t k, A a, int64_t step, const S* b, const S* start,
                   int64_t start_stride, S* c, int64_t c_stride) {
  constexpr int most = rows_beside(P);
  for (int64_t left = (m + most - 1) / most, i = 0; left > 0; --left) {
    const int64_t rows = (m - i + left - 1) / left;  // even blocks: 7 rows are 4 and 3, not 6 and 1
    block_of<S, most, P>(rows, k, a.from(i), step, b, start + i * start_stride, start_stride,
                         c + i * c_stride, c_stride);
    i += rows;
  }
}

// C (m, n) = start + A B, for a packed B (k, n). Row i of C begins c_stride values behind row
// i - 1, that of start start_stride values: with stride 0 every row starts from the same bias, with
// start == c the product is added to what is there. Rows of both are read, and those of C written,
// up to whole vectors; what is added beyond n is zero.
template <class S, class A>
void multiply(int64_t m, int64_t n, int64_t k, A a, int64_t step, const S* b, const S* start,
              int64_t start_stride, S* c, int64_t c_stride) {
  constexpr int64_t L = Vector<S>::lanes;
  const int64_t vectors = padded<S>(n) / L;
  for (int64_t v = 0; v < vectors;) {
    const int64_t width = panel_width(vectors - v);
    const S* from = start + v * L;
    S* to = c + v * L;
    const S* panel = b + v * L * k;
    switch (width) {
      case 1: blocks<S, 1>(m, k, a, step, panel, from, start_stride, to, c_stride); break;
      case 2: blocks<S, 2>(m, k, a, step, panel, from, start_stride, to, c_stride); break;
      case 3: blocks<S, 3>(m, k, a, step, panel, from, start_stride, to, c_stride); break;
      default: blocks<S, kPanel>(m, k, a, step, panel, from, start_stride, to, c_stride);
    }
    v += width;
  }
}

// C += A B.
template <class S, class A>
void add_product(int64_t m, int64_t n, int64_t k, A a, int64_t step, const S* b, S* c,
                 int64_t c_stride) {
  multiply(m, n, k, a, step, b, c, c_stride, c, c_stride);
}

}  // namespace eleatt
