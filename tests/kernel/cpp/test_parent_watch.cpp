#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "parent_watch.hpp"

namespace firn::kernel {
namespace {

constexpr int kPatience = 60'000;  // ms

struct Pipe {
  Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
  void say(char what) const {
    if (::write(ends[1], &what, 1) != 1) ::_exit(1);
  }
  char hear() const {
    char said = '?';
    return ::read(ends[0], &said, 1) == 1 ? said : '?';
  }
  std::array<int, 2> ends;
};

// What a kernel sees whose parent goes.
char watched_until_orphaned(const Pipe& ready) {
  const ParentWatch watch;
  if (!watch.wanted() || watch.orphaned()) return 'n';
  ready.say('!');
  pollfd watched{watch.fd(), POLLIN, 0};
  return ::poll(&watched, 1, kPatience) == 1 && watch.orphaned() ? 'y' : 'n';
}

}  // namespace

TEST_CASE("parent: nobody is watched unless the client asks") {
  ::unsetenv("JPY_PARENT_PID");
  const ParentWatch watch;
  CHECK_FALSE(watch.wanted());
  CHECK_FALSE(watch.orphaned());
  CHECK(watch.fd() == -1);
}

TEST_CASE("parent: its end is seen") {
  ::setenv("JPY_PARENT_PID", "1", 1);
  const Pipe ready, told;
  const pid_t parent = ::fork();
  if (parent == 0) {
    if (::fork() == 0) {
      told.say(watched_until_orphaned(ready));
      ::_exit(0);
    }
    ::_exit(ready.hear() == '!' ? 0 : 1);
  }
  ::close(told.ends[1]);
  ::close(ready.ends[1]);
  ::waitpid(parent, nullptr, 0);
  CHECK(told.hear() == 'y');
}

}  // namespace firn::kernel
