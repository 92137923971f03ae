#include "results/sqlite.h"

#include <sqlite3.h>

#include <cstring>
#include <utility>

#include "base/error.h"

namespace fathom::results {
namespace {

// What a user can do about an SQLite error code; empty when the message already says it.
const char* advice(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return "; the disk is full: free space and run the same command again, everything committed is kept";
    case SQLITE_READONLY:
      return "; the file or its folder is read-only: check permissions or choose another --db";
    case SQLITE_NOTADB:
      return "; this is not a fathom results database: choose another --db";
    case SQLITE_CORRUPT:
      return "; the file is damaged: restore a backup, or see `fathom db check`";
    case SQLITE_BUSY:
      return "; another program holds the database: close it, or read a copy made by `fathom db snapshot`";
    case SQLITE_CANTOPEN:
      return "; check that the folder exists and is accessible";
    case SQLITE_IOERR:
      return "; the disk reported an error or is full: everything committed is kept";
    default:
      return "";
  }
}

[[noreturn]] void throw_error(sqlite3* connection, const std::filesystem::path& path, std::string_view doing,
                              std::optional<int> known_code = std::nullopt) {
  const int code = known_code.value_or(sqlite3_extended_errcode(connection));
  const int system_error = sqlite3_system_errno(connection);
  std::string reason = known_code ? sqlite3_errstr(*known_code) : sqlite3_errmsg(connection);
  if (system_error != 0 && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR)) {
    reason += fmt::format(" ({})", std::strerror(system_error));
  }
  bad_input(path.string(), "{}: {}{}", doing, reason, advice(code));
}

int open_flags(Database::Access access) {
  if (access == Database::Access::kReadWrite) return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  return SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
}

// A file: URI is the only way to ask for immutable=1; the three characters with a meaning in it are escaped.
std::string uri_of(const std::filesystem::path& path, bool immutable) {
  std::string uri = "file:";
  for (char c : std::filesystem::absolute(path).string()) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri + (immutable ? "?immutable=1" : "?mode=ro");
}

}  // namespace

Database::Database(const std::filesystem::path& path, Access access) : path_(path) {
  const std::string name =
      access == Access::kReadWrite ? path.string() : uri_of(path, access == Access::kImmutable);
  const int code = sqlite3_open_v2(name.c_str(), &handle_, open_flags(access) | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    std::unique_ptr<sqlite3, int (*)(sqlite3*)> closer(std::exchange(handle_, nullptr), &sqlite3_close);
    throw_error(closer.get(), path, "cannot open the results database");
  }
  sqlite3_extended_result_codes(handle_, 1);
  // A file may come from anybody: no SQL may write to the schema's own tables, and damaged pages are errors.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_exec(handle_, "PRAGMA cell_size_check = ON", nullptr, nullptr, nullptr);
  sqlite3_busy_timeout(handle_, 5000);
}

Database::~Database() {
  if (handle_ != nullptr) sqlite3_close_v2(handle_);
}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), path_(other.path_) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  return *this;
}

void Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw_error(handle_, path_, "cannot write");
  }
}

Statement Database::prepare(std::string_view sql) const {
  return Statement(*this, sql);
}

int64_t Database::query_int(std::string_view sql) const {
  Statement statement(*this, sql);
  FATHOM_CHECK(statement.step(), "no row from {}", sql);
  return statement.integer(0);
}

std::string Database::query_text(std::string_view sql) const {
  Statement statement(*this, sql);
  FATHOM_CHECK(statement.step(), "no row from {}", sql);
  return statement.text(0);
}

void Database::fail(std::string_view doing, std::optional<int> code) const {
  throw_error(handle_, path_, doing, code);
}

int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

int64_t Database::last_insert_rowid() const {
  return sqlite3_last_insert_rowid(handle_);
}

Statement::Statement(const Database& database, std::string_view sql)
    : connection_(database.handle()), path_(database.path()) {
  const int code =
      sqlite3_prepare_v2(connection_, sql.data(), static_cast<int>(sql.size()), &handle_, nullptr);
  if (code != SQLITE_OK)
    throw_error(connection_, path_, fmt::format("cannot prepare \"{}\"", sql.substr(0, 60)));
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_), path_(other.path_), handle_(std::exchange(other.handle_, nullptr)) {}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw_error(connection_, path_, sqlite3_stmt_readonly(handle_) ? "cannot read" : "cannot write");
}

void Statement::reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

void Statement::bind(int index, int64_t value) {
  FATHOM_CHECK(sqlite3_bind_int64(handle_, index, value) == SQLITE_OK, "parameter {}", index);
}

void Statement::bind(int index, double value) {
  FATHOM_CHECK(sqlite3_bind_double(handle_, index, value) == SQLITE_OK, "parameter {}", index);
}

void Statement::bind(int index, std::string_view value) {
  // A null data pointer would bind NULL instead of the empty string.
  const char* data = value.data() == nullptr ? "" : value.data();
  const int code = sqlite3_bind_text64(handle_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) throw_error(connection_, path_, "cannot bind a text");
}

void Statement::bind(int index, Bytes value) {
  const void* data = value.data() == nullptr ? static_cast<const void*>("") : value.data();
  const int code = sqlite3_bind_blob64(handle_, index, data, value.size(), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) throw_error(connection_, path_, "cannot bind bytes");
}

void Statement::bind(int index, std::nullopt_t) {
  FATHOM_CHECK(sqlite3_bind_null(handle_, index) == SQLITE_OK, "parameter {}", index);
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(handle_, column);
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (data == nullptr) return {};
  return {data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

Bytes Statement::bytes(int column) const {
  const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(handle_, column));
  return {data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

Sha256Digest Statement::digest(int column) const {
  const Bytes blob = bytes(column);
  Sha256Digest digest;
  if (blob.size() != digest.size()) {
    bad_input(path_.string(), "a hash of {} bytes where 32 were expected; the database is damaged",
              blob.size());
  }
  std::memcpy(digest.data(), blob.data(), digest.size());
  return digest;
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::optional<int64_t> Statement::optional_integer(int column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

std::optional<double> Statement::optional_real(int column) const {
  if (is_null(column)) return std::nullopt;
  return real(column);
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<Sha256Digest> Statement::optional_digest(int column) const {
  if (is_null(column)) return std::nullopt;
  return digest(column);
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  // After a full disk SQLite may already have rolled back by itself; the second ROLLBACK then fails
  // harmlessly.
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace fathom::results
