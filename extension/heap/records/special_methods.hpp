// The special methods that a type's slots, and the interpreter itself, ask a class for.
#pragma once

#include <cstddef>
#include <cstdint>

namespace firn::heap::records {

// clang-format off
#define FIRN_SPECIAL_METHODS(X)                                                                    \
  X(repr)                                                                                          \
  X(str)                                                                                           \
  X(format)                                                                                        \
  X(hash)                                                                                          \
  X(lt) X(le) X(eq) X(ne) X(gt) X(ge) X(add) X(radd) X(iadd) X(sub) X(rsub) X(isub) X(mul) X(rmul) \
      X(imul) X(matmul) X(rmatmul) X(imatmul) X(truediv) X(rtruediv) X(itruediv) X(floordiv)       \
          X(rfloordiv) X(ifloordiv) X(mod) X(rmod) X(imod) X(divmod) X(rdivmod) X(pow) X(rpow)     \
              X(ipow) X(lshift) X(rlshift) X(ilshift) X(rshift) X(rrshift) X(irshift) X(and)       \
                  X(rand) X(iand) X(xor) X(rxor) X(ixor) X(or) X(ror) X(ior) X(neg) X(pos) X(abs)  \
                      X(invert) X(bool) X(int) X(float) X(index) X(complex) X(round) X(trunc)      \
                          X(floor) X(ceil) X(len) X(length_hint) X(contains) X(getitem) X(setitem) \
                              X(delitem) X(iter) X(next) X(reversed) X(missing) X(call) X(enter)   \
                                  X(exit) X(aenter) X(aexit) X(await) X(aiter) X(anext) X(bytes)   \
                                      X(fspath) X(getattr) X(sizeof) X(dir) X(copy)
// clang-format on

enum class Special : std::uint8_t {
#define FIRN_ENUMERATOR(name) name##_,
  FIRN_SPECIAL_METHODS(FIRN_ENUMERATOR)
#undef FIRN_ENUMERATOR
      end
};

inline constexpr std::size_t kSpecials = static_cast<std::size_t>(Special::end);

// As in "__add__".
inline constexpr const char* special_names[kSpecials] = {
#define FIRN_NAME(name) "__" #name "__",
    FIRN_SPECIAL_METHODS(FIRN_NAME)
#undef FIRN_NAME
};

inline constexpr std::size_t index_of(Special special) { return static_cast<std::size_t>(special); }

}  // namespace firn::heap::records
