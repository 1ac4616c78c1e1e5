// Retirement: segments that no name needs any more move to files, in the background.
#pragma once

namespace firn::heap {

// Around fork(). A child inherits every page where it is at that moment, in memory or in a file:
// both read right. What was left to move is moved when the child retires something itself, into
// files of its own.
void hold_retirement();
void release_retirement();
void resume_retirement_in_child();

}  // namespace firn::heap
