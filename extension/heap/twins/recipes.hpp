// How the object of a twin is made from its parts.
#pragma once

#include "heap/twins/twins.hpp"

namespace firn::heap {

enum class Recipe : std::uint16_t {
  call,     // parts: a callable, then its arguments
  pickled,  // parts: what firn.twins.load() takes
  member,   // of an enumeration; parts: what firn.twins.member() takes
  method,   // parts: a callable, the object that the method is bound to, more arguments
};

inline constexpr int kRecipeShift = 8;

inline std::uint16_t flags_of(Recipe recipe) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(recipe) << kRecipeShift);
}

inline Recipe recipe_of(PyObject* twin) {
  return static_cast<Recipe>(reinterpret_cast<FrozenTwin*>(twin)->flags >> kRecipeShift);
}

// Says how twins and definitions are materialised. init_interpreter() calls it.
void init_twins();

}  // namespace firn::heap
