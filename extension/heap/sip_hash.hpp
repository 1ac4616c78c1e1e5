// CPython's hash of strings (SipHash-1-3 by J.-P. Aumasson and D. J. Bernstein, with the process's
// key), where it can be inlined: a third of what freezing text costs is this.
#pragma once

#include "heap/cpython_layout.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

#include "heap/string_bytes.hpp"

namespace firn::heap {

// Whether this CPython hashes so: it can be built with another function. Set once, by
// find_static_objects(), before anything is frozen.
extern bool hashes_with_sip;

struct NoCopy {
  void operator()(std::size_t, std::uint64_t) const {}
};

// Of the bytes of a string that is not empty. Calls copy(offset, word) for all words; the last one
// has at least one byte that is not the string's, which is zero. Needs no thread state.
template <typename Copy = NoCopy>
Py_hash_t sip_hash(const char* data, std::size_t size, const Copy& copy = {}) {
  std::uint64_t v0 = _Py_HashSecret.siphash.k0 ^ 0x736f6d6570736575ull;
  std::uint64_t v1 = _Py_HashSecret.siphash.k1 ^ 0x646f72616e646f6dull;
  std::uint64_t v2 = _Py_HashSecret.siphash.k0 ^ 0x6c7967656e657261ull;
  std::uint64_t v3 = _Py_HashSecret.siphash.k1 ^ 0x7465646279746573ull;
  const auto mix = [&] {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  };
  const std::size_t whole = size & ~std::size_t{7};
  for (std::size_t i = 0; i != whole; i += 8) {
    const std::uint64_t word = load_word(data + i);
    copy(i, word);
    v3 ^= word;
    mix();
    v0 ^= word;
  }
  const std::uint64_t rest = load_rest(data, size);
  copy(whole, rest);
  const std::uint64_t last = static_cast<std::uint64_t>(size) << 56 | rest;
  v3 ^= last;
  mix();
  v0 ^= last;
  v2 ^= 0xff;
  mix();
  mix();
  mix();
  const auto hash = static_cast<Py_hash_t>(v0 ^ v1 ^ v2 ^ v3);
  return hash == -1 ? -2 : hash;
}

}  // namespace firn::heap
