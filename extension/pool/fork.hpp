#pragma once

namespace firn::pool {

/// From now on a child made by fork forgets every interpreter but the main one (hazard 11: CPython
/// crashes when it clears them itself). Main interpreter's GIL held; call it before the first
/// worker.
void survive_forks();
/// How many forks lie between this process and the one that loaded firn: what belongs to threads of
/// another count is not here.
unsigned fork_count();

}  // namespace firn::pool
