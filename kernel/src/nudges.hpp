#pragma once

namespace firn::kernel {

// Python's handler of a signal in C leaves a note, which the main thread finds between two of its
// steps, or when a system call is broken off. A call that is entered between the last look and the
// signal, and sleeps, would keep the note waiting until it ends by itself: one interrupt in some
// hundred, where a cell says something and then sleeps.
//
// After SIGINT, timers therefore break off what the main thread waits in, a few times within
// half a second, with a signal (SIGURG) whose handler does nothing. Python goes on waiting where
// there is no note. Called by the main thread first; by any, whenever another handler of SIGINT may
// have been set in Python, which sets the handler in C anew.
void nudge_after_interrupts();

// Python has found the note: what is called from now on is not broken off. Called by Python's
// handler. (A note that comes meanwhile is found before its handler goes on.)
void no_more_nudges();

}  // namespace firn::kernel
