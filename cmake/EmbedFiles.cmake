# cmake -DROOT=<folder> -DFILES=<path|path|...> -DOUTPUT=<file.cc> -P EmbedFiles.cmake
# Writes a C++ file with the bytes of FILES (paths below ROOT) as raw string literals; see tasks/embedded_data.h.
string(REPLACE "|" ";" FILES "${FILES}")
set(entries "")
foreach(path IN LISTS FILES)
  file(READ "${ROOT}/${path}" content)
  string(FIND "${content}" ")FATHOM\"" terminator)
  if(NOT terminator EQUAL -1)
    message(FATAL_ERROR "${path} contains the text that ends a raw string literal here")
  endif()
  string(APPEND entries "    {\"${path}\", R\"FATHOM(${content})FATHOM\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made by cmake/EmbedFiles.cmake from tasks/data/. Do not edit.
#include \"tasks/embedded_data.h\"

#include <algorithm>
#include <iterator>

namespace fathom::tasks {
namespace {

struct EmbeddedFile {
  std::string_view path;
  std::string_view bytes;
};

constexpr EmbeddedFile kFiles[] = {
${entries}};

}  // namespace

std::optional<std::string_view> embedded_file(std::string_view path) {
  const auto* const found =
      std::find_if(std::begin(kFiles), std::end(kFiles), [path](const EmbeddedFile& f) { return f.path == path; });
  if (found == std::end(kFiles)) return std::nullopt;
  return found->bytes;
}

bool has_embedded_files(std::string_view folder) {
  return std::any_of(std::begin(kFiles), std::end(kFiles), [folder](const EmbeddedFile& f) {
    return f.path.size() > folder.size() && f.path.starts_with(folder) && f.path[folder.size()] == '/';
  });
}

}  // namespace fathom::tasks
")
