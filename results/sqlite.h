// A small RAII layer over SQLite: Database, Statement, Transaction. No ORM: SQL stands where it is used.
//
// Every failure of SQLite is an Error{kBadInput} that names the file and says what to do. A Database and its
// statements belong to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/sha256.h"

struct sqlite3;
struct sqlite3_stmt;

namespace fathom::results {

class Statement;

/// Bytes bound to or read from a BLOB column.
using Bytes = std::span<const uint8_t>;

class Database {
 public:
  enum class Access {
    kReadWrite,  ///< creates the file when it is absent
    kReadOnly,   ///< can neither write nor checkpoint
    kImmutable,  ///< read-only, and no other process writes: needs no shared-memory file beside the database
  };

  /// Throws Error{kBadInput} when the file cannot be opened with this access.
  Database(const std::filesystem::path& path, Access access);
  ~Database();
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;

  /// Runs one or more statements that return nothing of interest.
  void execute(const std::string& sql);
  /// Compiles one statement.
  Statement prepare(std::string_view sql) const;
  /// First column of the first row of `sql`, which must return one.
  int64_t query_int(std::string_view sql) const;
  std::string query_text(std::string_view sql) const;

  /// Rows changed by the last INSERT, UPDATE or DELETE.
  int64_t changes() const;
  int64_t last_insert_rowid() const;
  const std::filesystem::path& path() const { return path_; }
  sqlite3* handle() const { return handle_; }
  /// Throws Error{kBadInput} for the connection's last error, or for SQLite's `code`; `doing` says what
  /// failed.
  [[noreturn]] void fail(std::string_view doing, std::optional<int> code = std::nullopt) const;

 private:
  sqlite3* handle_ = nullptr;
  std::filesystem::path path_;
};

/// One compiled statement. Parameters are ?1, ?2, ... in the order of the arguments of run() and query().
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  /// Binds the values and runs the statement to its end.
  template <typename... Values>
  void run(const Values&... values) {
    query(values...);
    while (step()) {
    }
  }

  /// Binds the values; step() then walks the rows.
  template <typename... Values>
  Statement& query(const Values&... values) {
    reset();
    int index = 0;
    (bind(++index, values), ...);
    return *this;
  }

  /// First column of the first row, if there is one. The statement is then at its end.
  template <typename... Values>
  std::optional<int64_t> find_integer(const Values&... values) {
    query(values...);
    const std::optional<int64_t> found = step() ? std::optional(integer(0)) : std::nullopt;
    reset();
    return found;
  }

  /// Moves to the next row; false after the last.
  bool step();

  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  Bytes bytes(int column) const;  ///< valid until the next step()
  Sha256Digest digest(int column) const;
  bool is_null(int column) const;
  std::optional<int64_t> optional_integer(int column) const;
  std::optional<double> optional_real(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<Sha256Digest> optional_digest(int column) const;

 private:
  void reset();
  void bind(int index, int64_t value);
  void bind(int index, uint64_t value) { bind(index, static_cast<int64_t>(value)); }
  void bind(int index, int value) { bind(index, int64_t{value}); }
  void bind(int index, uint32_t value) { bind(index, int64_t{value}); }
  void bind(int index, bool value) { bind(index, int64_t{value ? 1 : 0}); }
  void bind(int index, double value);
  void bind(int index, std::string_view value);
  void bind(int index, const std::string& value) { bind(index, std::string_view(value)); }
  void bind(int index, const char* value) { bind(index, std::string_view(value)); }
  void bind(int index, Bytes value);
  void bind(int index, const Sha256Digest& value) { bind(index, Bytes(value)); }
  void bind(int index, std::nullopt_t);
  template <typename T>
  void bind(int index, const std::optional<T>& value) {
    if (value) {
      bind(index, *value);
    } else {
      bind(index, std::nullopt);
    }
  }

  sqlite3* connection_;
  std::filesystem::path path_;
  sqlite3_stmt* handle_ = nullptr;
};

/// BEGIN IMMEDIATE now; COMMIT by commit(), ROLLBACK when destroyed without it.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// Returns after the data are on disk (synchronous=FULL). Throws when they are not; nothing is then stored.
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace fathom::results
