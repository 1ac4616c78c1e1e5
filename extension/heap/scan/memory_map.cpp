#include "heap/scan/memory_map.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace firn::heap {
namespace {

constexpr std::size_t kPage = 4096;

std::uintptr_t hexadecimal(const char*& at) {
  std::uintptr_t value = 0;
  for (;; ++at) {
    if (*at >= '0' && *at <= '9') {
      value = value << 4 | static_cast<std::uintptr_t>(*at - '0');
    } else if (*at >= 'a' && *at <= 'f') {
      value = value << 4 | static_cast<std::uintptr_t>(*at - 'a' + 10);
    } else {
      return value;
    }
  }
}

bool begins(const char* name, const char* end, const char* with) {
  const std::size_t length = std::strlen(with);
  return static_cast<std::size_t>(end - name) >= length && !std::memcmp(name, with, length);
}

}  // namespace

bool read_maps(PageVector<char>& buffer) {
  const int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::size_t used = 0;
  ssize_t got = 0;
  while (used + 1 < buffer.capacity()) {
    got = read(file, buffer.data() + used, buffer.capacity() - 1 - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    used += static_cast<std::size_t>(got);
  }
  close(file);
  buffer.resize(used + 1);
  buffer[used] = 0;
  return got == 0 && used;
}

void parse_maps(const PageVector<char>& text, PageVector<Mapping>& mappings) {
  // 7f12-7f34 rw-p 00000000 00:00 0       [heap]
  mappings.clear();
  for (const char* at = text.begin(); *at;) {
    const char* end = std::strchr(at, '\n');
    if (!end) break;
    Mapping mapping;
    mapping.begin = hexadecimal(at);
    ++at;
    mapping.end = hexadecimal(at);
    mapping.readable = at[1] == 'r';
    mapping.writable = at[2] == 'w';
    mapping.executable = at[3] == 'x';
    mapping.shared = at[4] == 's';
    at += 6;
    for (int field = 0; field < 3; ++field) {  // offset, device, inode
      while (at < end && *at != ' ') ++at;
      while (at < end && *at == ' ') ++at;
    }
    const char* const name = at;
    at = end + 1;
    if (begins(name, end, "[v")) continue;  // vdso, vvar, vsyscall
    mapping.heap = begins(name, end, "[heap]");
    mapping.anonymous = name == end || *name == '[' || begins(name, end, "/memfd:") ||
                        begins(name, end, "/dev/shm/") || begins(name, end, "/dev/zero") ||
                        begins(name, end, "/SYSV") || begins(name, end, "/anon_hugepage");
    mapping.device = !mapping.anonymous && begins(name, end, "/dev/");
    mappings.push_back(mapping);
  }
}

PageMap::PageMap() : file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {
  entries_.resize(kEntries);
}

PageMap::~PageMap() {
  if (file_ >= 0) close(file_);
}

bool PageMap::holds(std::uintptr_t page, bool& content) {
  if (page < entries_first_ || page >= entries_first_ + entries_count_) {
    ssize_t got;
    do {
      got = pread(file_, entries_.data(), kEntries * 8, static_cast<off_t>(page * 8));
    } while (got < 0 && errno == EINTR);
    if (got < 8) return false;
    entries_first_ = page;
    entries_count_ = static_cast<std::size_t>(got) / 8;
  }
  content = entries_[page - entries_first_] >> 62;  // present, or swapped out
  return true;
}

bool PageMap::next(std::uintptr_t from, std::uintptr_t end, std::uintptr_t& first,
                   std::uintptr_t& last) {
  bool content = false;
  first = from;
  while (first < end) {
    if (!holds(first / kPage, content)) return false;
    if (content) break;
    first += kPage;
  }
  last = first;
  while (last < end) {
    if (!holds(last / kPage, content)) return false;
    if (!content) break;
    last += kPage;
  }
  return true;
}

}  // namespace firn::heap
