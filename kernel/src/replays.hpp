#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <deque>
#include <functional>
#include <string_view>
#include <unordered_set>

namespace firn::kernel {

// Remembers the signatures of the latest messages, so that one that somebody has recorded and sends
// again is refused (Jupyter's own kernels remember as many). One thread.
//
// 16 characters of each, 64 bits of the hash, are enough: one message in 2^48 would be refused
// for one of the 65,536 before it. Whole ones would be 11 MB in the end instead of 5.
class Replays {
 public:
  static constexpr std::size_t kRemembered = 65536;

  // Whether the signature has not been seen; from now on it has.
  bool is_first(std::string_view signature) {
    Beginning beginning{};
    std::memcpy(beginning.data(), signature.data(), std::min(signature.size(), beginning.size()));
    if (!seen_.insert(beginning).second) return false;
    order_.push_back(beginning);
    if (order_.size() > kRemembered) {
      seen_.erase(order_.front());
      order_.pop_front();
    }
    return true;
  }

 private:
  using Beginning = std::array<char, 16>;
  struct Hash {
    std::size_t operator()(const Beginning& one) const {
      return std::hash<std::string_view>{}({one.data(), one.size()});
    }
  };

  std::unordered_set<Beginning, Hash> seen_;
  std::deque<Beginning> order_;
};

}  // namespace firn::kernel
