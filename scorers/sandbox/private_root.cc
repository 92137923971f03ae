// PrivateRoot: a tmpfs with read-only views of the interpreter's files, made the root by pivot_root.
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "scorers/sandbox/setup.h"

namespace fathom::sandbox {
namespace {

constexpr const char* kLayer = "private root";

// The wrappers of glibc came after 2.35, and <sys/mount.h> and <linux/mount.h> disagree in some versions.
int open_tree_clone(const char* path) {
  return static_cast<int>(
      syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
}

int set_mount_attributes(int fd, const char* path, unsigned flags, uint64_t attributes) {
  mount_attr attr{};
  attr.attr_set = attributes;
  return static_cast<int>(syscall(SYS_mount_setattr, fd, path, flags, &attr, sizeof attr));
}

int attach(int tree, const std::string& path) {
  return static_cast<int>(syscall(SYS_move_mount, tree, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
}

void make_folders(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) require_call(-1, kLayer, "mkdir " + folder);
  }
}

void make_file(const std::string& path, const std::string& content) {
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  require_call(fd, kLayer, "creating " + path);
  if (!content.empty()) require_call(write(fd, content.data(), content.size()), kLayer, "writing " + path);
  close(fd);
}

void mount_tmpfs(const std::string& path, unsigned long flags, const std::string& options) {
  require_call(mount("tmpfs", path.c_str(), "tmpfs", flags | MS_NOSUID | MS_NODEV, options.c_str()), kLayer,
               "mounting a tmpfs on " + path);
}

}  // namespace

PrivateRoot::PrivateRoot(const VisibleFiles& visible)
    : hidden_folders_(visible.hidden_folders), links_(visible.links) {
  for (const std::string& folder : visible.folders) {
    add(folder, true, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  }
  for (const std::string& file : visible.files) {
    add(file, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  }
  add("/dev/null", false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

void PrivateRoot::add(const std::string& path, bool folder, uint64_t attributes) {
  const int fd = open_tree_clone(path.c_str());
  require_call(fd, kLayer, "open_tree " + path);
  require_call(set_mount_attributes(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, attributes), kLayer,
               "mount_setattr " + path);
  trees_.push_back({fd, path, folder});
}

void PrivateRoot::enter(int64_t tmp_bytes) {
  require_call(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), kLayer,
               "making the mounts private");
  // Any folder will do: what it holds outside is hidden for this process and the trees are open already.
  std::string base;
  for (const char* candidate : {"/tmp", "/run", "/mnt", "/var", "/usr"}) {
    struct stat info;
    if (base.empty() && stat(candidate, &info) == 0 && S_ISDIR(info.st_mode)) base = candidate;
  }
  mount_tmpfs(base, 0, "size=1m,nr_inodes=512,mode=755");
  for (const Tree& tree : trees_) {
    const std::string target = base + tree.path;
    make_folders(target);
    if (tree.folder) {
      if (mkdir(target.c_str(), 0755) != 0 && errno != EEXIST) require_call(-1, kLayer, "mkdir " + target);
    } else {
      make_file(target, "");
    }
    require_call(attach(tree.fd, target), kLayer, "move_mount " + tree.path);
    close(tree.fd);
  }
  for (const auto& [path, target] : links_) {
    make_folders(base + path);
    require_call(symlink(target.c_str(), (base + path).c_str()), kLayer, "symlink " + path);
  }
  for (const std::string& folder : hidden_folders_)
    mount_tmpfs(base + folder, MS_RDONLY, "size=4k,nr_inodes=2,mode=555");
  make_folders(base + "/etc/");
  make_file(base + "/etc/passwd", "sandbox:x:1000:1000::/tmp:/bin/false\n");
  require_call(mkdir((base + "/tmp").c_str(), 0755), kLayer, "mkdir /tmp");
  require_call(mkdir((base + "/sealed").c_str(), 0755), kLayer, "mkdir /sealed");
  if (tmp_bytes > 0) {
    mount_tmpfs(base + "/tmp", MS_NOEXEC, "size=" + std::to_string(tmp_bytes) + ",nr_inodes=1024,mode=700");
  }
  require_call(chdir(base.c_str()), kLayer, "chdir");
  require_call(syscall(SYS_pivot_root, ".", "."), kLayer, "pivot_root");
  require_call(umount2(".", MNT_DETACH), kLayer, "detaching the old root");
  require_call(chdir("/"), kLayer, "chdir");
  require_call(set_mount_attributes(AT_FDCWD, "/", 0, MOUNT_ATTR_RDONLY), kLayer,
               "making the root read-only");
}

}  // namespace fathom::sandbox
