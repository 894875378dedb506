// As many numbers as a register holds, by the vector extension of gcc and clang.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace eleatt {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRegisters = 32;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16, kRegisters = 32;
#else
constexpr int kVectorBytes = 16, kRegisters = 16;
#endif

template <class S> struct Bits;
template <> struct Bits<float> { using type = int32_t; };
template <> struct Bits<double> { using type = int64_t; };

template <class S> struct Vector {
  typedef S type __attribute__((vector_size(kVectorBytes)));
  typedef typename Bits<S>::type bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int64_t lanes = kVectorBytes / sizeof(S);
};

// n rounded up to whole vectors.
template <class S> constexpr int64_t padded(int64_t n) {
  return (n + Vector<S>::lanes - 1) / Vector<S>::lanes * Vector<S>::lanes;
}

template <class S> inline typename Vector<S>::type load(const S* from) {
  typename Vector<S>::type v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class S> inline void store(S* to, typename Vector<S>::type v) {
  std::memcpy(to, &v, sizeof v);
}

// Whole vectors of an array, and what is left at its end: zeros stand for what is not there.
struct Full {
  template <class S> typename Vector<S>::type load(const S* from) const {
    return eleatt::load(from);
  }
  template <class S> void store(S* to, typename Vector<S>::type v) const { eleatt::store(to, v); }
};

struct Rest {
  int64_t count;

#if defined(__AVX512F__)
  Vector<float>::type load(const float* from) const {
    return (Vector<float>::type)_mm512_maskz_loadu_ps((1u << count) - 1, from);
  }
  Vector<double>::type load(const double* from) const {
    return (Vector<double>::type)_mm512_maskz_loadu_pd((1u << count) - 1, from);
  }
  void store(float* to, Vector<float>::type v) const {
    _mm512_mask_storeu_ps(to, (1u << count) - 1, (__m512)v);
  }
  void store(double* to, Vector<double>::type v) const {
    _mm512_mask_storeu_pd(to, (1u << count) - 1, (__m512d)v);
  }
#else
  template <class S> typename Vector<S>::type load(const S* from) const {
    typename Vector<S>::type v = {};
    std::memcpy(&v, from, count * sizeof(S));
    return v;
  }
  template <class S> void store(S* to, typename Vector<S>::type v) const {
    std::memcpy(to, &v, count * sizeof(S));
  }
#endif
};

// f(part, j) for every vector of n values, j its first and part what loads and stores it.
template <class S, class F> inline void each(int64_t n, F f) {
  constexpr int64_t L = Vector<S>::lanes;
  int64_t j = 0;
  for (; j + L <= n; j += L) f(Full{}, j);
  if (j < n) f(Rest{n - j}, j);
}

}  // namespace eleatt
