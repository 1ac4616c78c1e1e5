// An array for the scanning process, whose malloc may be locked for ever by a thread that it lacks.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>

namespace firn::heap {

// Grows in pages of its own. One thread.
template <typename T>
class PageVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PageVector() = default;
  PageVector(const PageVector&) = delete;
  PageVector& operator=(const PageVector&) = delete;
  ~PageVector() {
    if (data_) munmap(data_, capacity_ * sizeof(T));
  }

  void reserve(std::size_t count) {
    if (count <= capacity_) return;
    std::size_t capacity = capacity_ ? capacity_ : 4096 / sizeof(T) + 1;
    while (capacity < count) capacity *= 2;
    void* got = mmap(nullptr, capacity * sizeof(T), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) throw std::bad_alloc();
    if (size_) std::memcpy(got, data_, size_ * sizeof(T));
    if (data_) munmap(data_, capacity_ * sizeof(T));
    data_ = static_cast<T*>(got);
    capacity_ = capacity;
  }

  void push_back(const T& value) {
    reserve(size_ + 1);
    data_[size_++] = value;
  }
  void resize(std::size_t size) {  // new elements are zero
    reserve(size);
    size_ = size;
  }
  void clear() { size_ = 0; }

  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T* data() { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return !size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace firn::heap
