// Pipes and memory files of a sample.
#pragma once

#include <string>
#include <string_view>

#include "scorers/sandbox/file_descriptor.h"

namespace fathom::sandbox {

struct Pipe {
  FileDescriptor read_end;
  FileDescriptor write_end;
};
/// Both ends close on exec. Throws Error{kEnvironment} (no descriptors left).
Pipe make_pipe();
/// The supervisor never waits for a pipe.
void make_non_blocking(int fd);

/// An anonymous file with `content`, read from its start by whoever gets the descriptor. Throws
/// Error{kEnvironment}.
FileDescriptor make_memory_file(const char* name, std::string_view content);
/// The first `limit` bytes of a memory file.
std::string read_memory_file(int fd, size_t limit);

}  // namespace fathom::sandbox
