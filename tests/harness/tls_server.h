// TlsServer: tests/harness/tls_server.py with a certificate authority of its own, on a free port of loopback.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace fathom::harness {

class TlsServer {
 public:
  /// Serves the files of `folder`, which may be filled later. Needs the programs openssl and python3.
  explicit TlsServer(const std::filesystem::path& folder) : folder_(folder) {
    std::filesystem::create_directories(folder_ / ".tls");
    make_certificates();
    start();
  }
  ~TlsServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  std::string url(const std::string& behaviour, const std::string& host = "localhost") const {
    return "https://" + host + ":" + std::to_string(port_) + "/" + behaviour;
  }
  /// The authority that signed the server's certificate, which names localhost and nothing else.
  std::string ca_file() const { return (folder_ / ".tls/ca.pem").string(); }

 private:
  void make_certificates() {
    const std::string dir = "cd '" + (folder_ / ".tls").string() + "' && ";
    const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
    std::ofstream(folder_ / ".tls/san") << "subjectAltName=DNS:localhost\n";
    const std::string commands =
        dir + "{ openssl req -x509" + key +
        "-days 2 -subj '/CN=fathom test authority' -keyout ca.key -out ca.pem && openssl req" + key +
        "-subj /CN=localhost -keyout server.key -out server.csr && openssl x509 -req "
        "-in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san "
        "-out server.pem; } > log 2>&1";
    if (std::system(commands.c_str()) != 0) {
      std::fprintf(stderr, "openssl failed; see %s\n", (folder_ / ".tls/log").c_str());
      std::abort();
    }
  }

  void start() {
    int out[2];
    if (::pipe(out) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed takes its server along
      ::dup2(out[1], STDOUT_FILENO);
      ::close(out[0]);
      ::close(out[1]);
      const std::string script = FATHOM_SOURCE_DIR "/tests/harness/tls_server.py";
      const std::string certificate = folder_ / ".tls/server.pem", key = folder_ / ".tls/server.key";
      ::execlp("python3", "python3", script.c_str(), folder_.c_str(), certificate.c_str(), key.c_str(),
               static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(out[1]);
    FILE* port = ::fdopen(out[0], "r");
    if (std::fscanf(port, "%d", &port_) != 1) {
      std::fputs("tests/harness/tls_server.py did not start\n", stderr);
      std::abort();
    }
    std::fclose(port);
  }

  std::filesystem::path folder_;
  pid_t pid_ = -1;
  int port_ = 0;
};

}  // namespace fathom::harness
