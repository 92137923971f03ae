// Pipes and memory files of a sample.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "scorers/sandbox/file_descriptor.h"

namespace fathom::sandbox {

struct Pipe {
  FileDescriptor read_end;
  FileDescriptor write_end;
};
/// Both ends close on exec. Throws Error{kEnvironment} (no descriptors left).
Pipe make_pipe();
/// Two ends of a close-on-exec AF_UNIX socket of `type` (SOCK_STREAM, SOCK_SEQPACKET).
std::pair<FileDescriptor, FileDescriptor> make_socket_pair(int type);
/// The supervisor never waits for a pipe.
void make_non_blocking(int fd);

/// An anonymous file with `content`, read from its start by whoever gets the descriptor. Throws
/// Error{kEnvironment}.
FileDescriptor make_memory_file(const char* name, std::string_view content);
/// The first `limit` bytes of a memory file.
std::string read_memory_file(int fd, size_t limit);

}  // namespace fathom::sandbox
