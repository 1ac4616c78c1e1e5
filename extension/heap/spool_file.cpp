#include "heap/spool_file.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace firn::heap {
namespace {

constexpr mode_t kPrivate = S_IRUSR | S_IWUSR;

[[noreturn]] void fail() { throw Unspoolable{std::generic_category().message(errno)}; }

int open_nameless(const std::string& folder) {
  const int file = open(folder.c_str(), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, kPrivate);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  // A file system that knows no nameless files (NFS): the name goes at once.
  std::string name = folder + "/firn-XXXXXX";
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

bool is_memory(int file) {
  struct statfs system;
  return !fstatfs(file, &system) && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

int rights() { return guard_is_on() ? PROT_READ : PROT_READ | PROT_WRITE; }

bool can_be_mapped(int file) {
  void* got = mmap(nullptr, 1, rights(), MAP_PRIVATE, file, 0);
  if (got == MAP_FAILED) return false;
  munmap(got, 1);
  return true;
}

}  // namespace

SpoolFile::SpoolFile(const std::string& folder, std::size_t bytes) : file_(open_nameless(folder)) {
  if (file_ < 0) fail();
  const auto refuse = [this](std::string reason) {
    close(file_);
    throw Unspoolable{std::move(reason)};
  };
  if (is_memory(file_)) refuse("it is memory itself (tmpfs)");
  // A full disk is better known now than with half of the pages moved.
  if (fallocate(file_, 0, 0, static_cast<off_t>(bytes)) && errno != EOPNOTSUPP && errno != ENOSYS) {
    refuse(std::generic_category().message(errno));
  }
  // Older kernels take the old pages away before they ask the file system whether it can map at
  // all.
  if (!can_be_mapped(file_)) refuse(std::generic_category().message(errno));
}

SpoolFile::~SpoolFile() { close(file_); }

void SpoolFile::write(const Extent& pages) {
  off_t at = end_;
  for (const char* from = pages.begin; from < pages.end;) {
    const ssize_t written = pwrite(file_, from, static_cast<std::size_t>(pages.end - from), at);
    if (written <= 0) {
      if (written < 0 && errno == EINTR) continue;
      fail();
    }
    from += written;
    at += written;
  }
}

// Waits until the bytes are on the disk, which may still fail. Nobody needs the file after a crash
// of the machine: no journal is waited for.
void SpoolFile::settle(std::size_t bytes) {
  const auto flags =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (!sync_file_range(file_, end_, static_cast<off_t>(bytes), flags)) return;
  if (errno != ENOSYS && errno != EINVAL && errno != EPERM) fail();
  if (fdatasync(file_)) fail();
}

void SpoolFile::take_over(const Extent& pages) {
  // The order is what makes this right while others read: all bytes are in the file, and known to
  // stay there, before the kernel exchanges the mapping in one step. Nobody writes to a finished
  // segment. (With the guard off, an extension of an old stable ABI may count references of
  // immortal objects meanwhile: such a count may be lost.)
  write(pages);
  settle(pages.size());
  void* got = mmap(pages.begin, pages.size(), rights(), MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                   file_, end_);
  if (got == MAP_FAILED) fail();
  // The page cache would hold them a second time, clean now and of no use to anybody soon.
  posix_fadvise(file_, end_, static_cast<off_t>(pages.size()), POSIX_FADV_DONTNEED);
  end_ += static_cast<off_t>(pages.size());
}

}  // namespace firn::heap
