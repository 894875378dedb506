// The functions that a cell applies to every element, on whole vectors V of numbers S.
#pragma once

#include <limits>

#include "vector.h"

namespace eleatt {

// e^r - 1 by its Taylor series, exact to rounding for |r| <= ln(2) / 2.
template <class S> struct Series;

template <> struct Series<float> {
  static constexpr int terms = 7, mantissa = 23, bias = 127;
  static constexpr float largest = 87;         // e^x and e^-x are normal numbers
  static constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723e-6f;
};

template <> struct Series<double> {
  static constexpr int terms = 13, mantissa = 52, bias = 1023;
  static constexpr double largest = 708;
  static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 6.93147180369123816490e-1;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
};

// e^x = scale * (1 + rest) with |rest| < 1, so that e^x - 1 keeps its digits near zero.
template <class S> struct Power {
  typename Vector<S>::type scale, rest;
};

template <class S, class V = typename Vector<S>::type> inline Power<S> power(V x) {
  using C = Series<S>;
  using I = typename Vector<S>::bits;
  const V shifted = x * S(1.44269504088896340736) + C::round;
  const V k = shifted - C::round;  // x / ln 2, rounded
  const V r = (x - k * C::ln2_high) - k * C::ln2_low;
  S inverse = 1;  // 1 / n!
  for (int n = 2; n <= C::terms; ++n) inverse /= n;
  V sum = {};
#pragma GCC unroll 16
  for (int n = C::terms; n >= 1; --n) {  // Horner's scheme
    sum = sum * r + inverse;
    inverse *= n;
  }
  const V origin = C::round - V{};
  const I exponent = ((I)shifted - (I)origin + C::bias) << C::mantissa;
  return {(V)exponent, sum * r};
}

// NaN passes.
template <class S, class V = typename Vector<S>::type> inline V clamp(V x, S limit) {
  x = x < -limit ? -limit - V{} : x;
  return x > limit ? limit - V{} : x;
}

// 0 and infinity beyond what is a normal number, so that a sigmoid can be exactly 0.
template <class S, class V = typename Vector<S>::type> inline V exponential(V x) {
  constexpr S limit = Series<S>::largest;
  const Power<S> e = power<S>(clamp<S>(x, limit));
  const V value = e.scale + e.scale * e.rest;
  const V above = x > limit ? std::numeric_limits<S>::infinity() - V{} : value;
  return x < -limit ? V{} : above;
}

template <class S, class V = typename Vector<S>::type> inline V sigmoid(V x) {
  return 1 / (1 + exponential<S>(-x));
}

template <class S, class V = typename Vector<S>::type> inline V tanh(V x) {
  const Power<S> e = power<S>(2 * clamp<S>(x, 20));
  const V minus_one = (e.scale - 1) + e.scale * e.rest;  // e^2x - 1
  return minus_one / (minus_one + 2);
}

// The attention of a gate, equation 4, from what goes into the sigmoid or softmax.
template <class S> inline void respond(bool softmax, int64_t D, S* a) {
  if (!softmax) {
    each<S>(D, [=](auto part, int64_t j) { part.store(a + j, sigmoid<S>(part.load(a + j))); });
    return;
  }
  S largest = a[0], sum = 0;
  for (int64_t j = 1; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
  each<S>(D, [=](auto part, int64_t j) {
    part.store(a + j, exponential<S>(part.load(a + j) - largest));
  });
  for (int64_t j = 0; j < D; ++j) sum += a[j];
  for (int64_t j = 0; j < D; ++j) a[j] /= sum;
}

// d: from the gradient of the attention a to that of what went into the sigmoid or softmax.
template <class S> inline void respond_backward(bool softmax, int64_t D, const S* a, S* d) {
  S sum = 0;
  for (int64_t j = 0; softmax && j < D; ++j) sum += a[j] * d[j];
  each<S>(D, [=](auto part, int64_t j) {
    const auto a_j = part.load(a + j), d_j = part.load(d + j);
    part.store(d + j, softmax ? a_j * (d_j - sum) : d_j * a_j * (1 - a_j));
  });
}

}  // namespace eleatt
