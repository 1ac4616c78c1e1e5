#include "heap/records/permanent.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace firn::heap {
namespace {

constexpr std::size_t kExtent = std::size_t{64} << 10;

}  // namespace

void Permanent::open() {
  if (extent_.begin && guard_is_on())
    mprotect(extent_.begin, extent_.size(), PROT_READ | PROT_WRITE);
}

void Permanent::close() {
  if (extent_.begin) protect(extent_);
}

char* Permanent::allocate(std::size_t bytes) {
  bytes = (bytes + 7) & ~std::size_t{7};
  if (bytes > static_cast<std::size_t>(extent_.end - current_)) {
    const Extent fresh = lasting_zone().take(std::max(bytes, kExtent));
    close();
    extent_ = fresh;
    current_ = fresh.begin;
  }
  char* at = current_;
  current_ += bytes;
  return at;
}

void Permanent::shrink(char* at, std::size_t bytes) {
  current_ = at + ((bytes + 7) & ~std::size_t{7});
}

}  // namespace firn::heap
