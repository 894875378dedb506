// The functions that a cell applies to every element, in plain loops that compilers vectorise.
#pragma once

#include <cstdint>
#include <cstring>

namespace eleatt {

// e^r - 1 by its Taylor series, exact to rounding for |r| <= ln(2) / 2.
template <class S> struct Series;

template <> struct Series<float> {
  using Bits = int32_t;
  static constexpr int terms = 7, mantissa = 23, bias = 127;
  static constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723e-6f;
};

template <> struct Series<double> {
  using Bits = int64_t;
  static constexpr int terms = 13, mantissa = 52, bias = 1023;
  static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 6.93147180369123816490e-1, ln2_low = 1.90821492927058770002e-10;
};

// e^x = scale * (1 + rest), with |rest| small, so that e^x - 1 keeps its digits near zero.
template <class S> struct Power {
  S scale, rest;
};

template <class S> inline Power<S> power(S x) {
  using C = Series<S>;
  const S shifted = x * S(1.44269504088896340736) + C::round;
  const S k = shifted - C::round;
  const S r = (x - k * C::ln2_high) - k * C::ln2_low;
  S factorial = 1;
  for (int n = 2; n <= C::terms; ++n) factorial *= n;
  S inverse = S(1) / factorial, sum = 0;  // Horner's scheme, from the last term to the first
  for (int n = C::terms; n >= 1; --n) {
    sum = sum * r + inverse;
    inverse *= n;
  }
  typename C::Bits bits, zero;
  const S origin = C::round;
  std::memcpy(&bits, &shifted, sizeof(S));
  std::memcpy(&zero, &origin, sizeof(S));
  bits = (bits - zero + C::bias) << C::mantissa;
  S scale;
  std::memcpy(&scale, &bits, sizeof(S));
  return {scale, sum * r};
}

// The clamps let NaN pass and keep every value that is formed normal and finite.
template <class S> inline S clamp(S x, S limit) {
  x = x < -limit ? -limit : x;
  return x > limit ? limit : x;
}

template <class S> inline S exponential(S x) {
  const Power<S> e = power(clamp(x, S(sizeof(S) == 4 ? 87 : 708)));
  return e.scale + e.scale * e.rest;
}

template <class S> inline S sigmoid(S x) { return S(1) / (S(1) + exponential(-x)); }

template <class S> inline S tanh(S x) {
  const Power<S> e = power(2 * clamp(x, S(20)));
  const S minus_one = (e.scale - 1) + e.scale * e.rest;  // e^2x - 1
  return minus_one / (minus_one + 2);
}

// The responses of an attention gate, equation 4, from what goes into the sigmoid or softmax.
template <class S> inline void respond(bool softmax, int64_t D, S* __restrict a) {
  if (!softmax) {
    for (int64_t j = 0; j < D; ++j) a[j] = sigmoid(a[j]);
    return;
  }
  S largest = a[0], sum = 0;
  for (int64_t j = 1; j < D; ++j) largest = a[j] > largest ? a[j] : largest;
  for (int64_t j = 0; j < D; ++j) a[j] = exponential(a[j] - largest);
  for (int64_t j = 0; j < D; ++j) sum += a[j];
  for (int64_t j = 0; j < D; ++j) a[j] /= sum;
}

// d: from the gradient of the responses a to that of what went into the sigmoid or softmax.
template <class S>
inline void respond_backward(bool softmax, int64_t D, const S* __restrict a, S* __restrict d) {
  if (!softmax) {
    for (int64_t j = 0; j < D; ++j) d[j] *= a[j] * (1 - a[j]);
    return;
  }
  S sum = 0;
  for (int64_t j = 0; j < D; ++j) sum += a[j] * d[j];
  for (int64_t j = 0; j < D; ++j) d[j] = a[j] * (d[j] - sum);
}

}  // namespace eleatt
