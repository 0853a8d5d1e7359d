#include "http/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <list>

#include "base/check.h"
#include "http/connection.h"
#include "http/refusal.h"

namespace vl3::http {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Code = boost::system::error_code;

// What the system says of a socket, as an error that names where it was to listen.
void check_listen(const Code& code, const ServerOptions& options) {
  if (code == asio::error::address_in_use) {
    fail(ErrorCode::kInvalidArgument, "[serve] port {} of {} is in use by another program", options.port,
         options.host);
  }
  require(!code, ErrorCode::kInvalidArgument, "[serve] cannot listen on port {} of {}: {}", options.port,
          options.host, code.message());
}

// On every address that the host's name stands for; 0 gives all the same free port.
std::list<Tcp::acceptor> listen(asio::io_context& io, const ServerOptions& options) {
  Code code;
  Tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(bare_host(options.host), std::to_string(options.port), Tcp::resolver::passive, code);
  check_listen(code, options);
  std::list<Tcp::acceptor> acceptors;
  for (const auto& entry : found) {
    Tcp::endpoint endpoint = entry.endpoint();
    if (endpoint.port() == 0 && !acceptors.empty()) endpoint.port(acceptors.front().local_endpoint().port());
    Tcp::acceptor acceptor(io);
    acceptor.open(endpoint.protocol(), code);
    if (code && found.size() > 1) continue;  // a name with an IPv6 address on a machine without
    check_listen(code, options);
    acceptor.set_option(Tcp::acceptor::reuse_address(true), code);
    if (endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(found.size() > 1), code);
    acceptor.bind(endpoint, code);
    if (code == boost::system::errc::address_not_available && found.size() > 1) continue;
    check_listen(code, options);
    acceptor.listen(asio::socket_base::max_listen_connections, code);
    check_listen(code, options);
    fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
    acceptors.push_back(std::move(acceptor));
  }
  require(!acceptors.empty(), ErrorCode::kInvalidArgument, "[serve] {} is no address of this machine",
          options.host);
  return acceptors;
}

// Sockets that listen already.
std::list<Tcp::acceptor> adopt(asio::io_context& io, const std::vector<int>& sockets) {
  std::list<Tcp::acceptor> acceptors;
  for (const int socket : sockets) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    int listens = 0;
    socklen_t listens_size = sizeof listens;
    const bool known = getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                       (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
                       getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) == 0;
    require(known && listens != 0, ErrorCode::kInvalidArgument,
            "[serve] descriptor {} was given to listen on, and is no TCP socket that listens", socket);
    Code code;
    Tcp::acceptor acceptor(io);
    acceptor.assign(address.ss_family == AF_INET ? Tcp::v4() : Tcp::v6(), socket, code);
    require(!code, ErrorCode::kInvalidArgument, "[serve] descriptor {} cannot be listened on: {}", socket,
            code.message());
    acceptors.push_back(std::move(acceptor));
  }
  return acceptors;
}

std::string address_of(const Tcp::socket& socket) {
  Code code;
  const Tcp::endpoint endpoint = socket.remote_endpoint(code);
  return code ? "" : endpoint.address().to_string();
}

// A peer whose machine went down sends nothing, not even an end: the system asks it now and then.
void set_options(Tcp::socket& socket) {
  Code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  const int fd = socket.native_handle(), idle_s = 30, interval_s = 10, probes = 3;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, Admit admit, Handle handle)
      : core_(std::move(options), std::move(admit), std::move(handle)), retry_(core_.io) {
    const ServerOptions& given = core_.options;
    require(given.tls_certificate.empty() == given.tls_key.empty(), ErrorCode::kInvalidArgument,
            "[serve] TLS needs a certificate and its key, and only one of them is given");
    if (!given.tls_certificate.empty()) tls_ = tls_context(given.tls_certificate, given.tls_key);
    acceptors_ = given.listening.empty() ? listen(core_.io, given) : adopt(core_.io, given.listening);
    port_ = acceptors_.front().local_endpoint().port();
    for (Tcp::acceptor& acceptor : acceptors_) accept(acceptor);
  }

  ~Impl() {
    core_.mailbox->close();
    core_.draining = true;
    acceptors_.clear();
    retry_.cancel();
    cut_all();
    // What was under way is told that it is over, while everything is there still.
    core_.io.restart();
    core_.io.poll();
  }

  uint16_t port() const { return port_; }
  size_t connections() const { return core_.num_open; }
  void run() { core_.io.run(); }

  void drain() {
    core_.mailbox->post([this] {
      core_.draining = true;
      acceptors_.clear();
      retry_.cancel();
      for (const auto& connection : all()) {
        if (connection->idle()) connection->cut();
      }
      if (core_.open.empty()) core_.io.stop();
    });
  }

  void stop() {
    core_.mailbox->post([this] {
      core_.draining = true;
      acceptors_.clear();
      cut_all();
      core_.io.stop();
    });
  }

  void reload_certificate() {
    if (core_.options.tls_certificate.empty()) return;
    auto context = tls_context(core_.options.tls_certificate, core_.options.tls_key);
    core_.mailbox->post([this, context = std::move(context)] { tls_ = context; });
  }

 private:
  std::vector<std::shared_ptr<Connection>> all() const {
    std::vector<std::shared_ptr<Connection>> connections;
    for (const auto& [_, weak] : core_.open) {
      if (auto connection = weak.lock()) connections.push_back(std::move(connection));
    }
    return connections;
  }

  void cut_all() {
    for (const auto& connection : all()) connection->cut();
  }

  void accept(Tcp::acceptor& acceptor) {
    acceptor.async_accept([this, &acceptor](const Code& code, Tcp::socket socket) {
      if (core_.draining || code == asio::error::operation_aborted) return;
      if (!code) {
        take(std::move(socket));
      } else if (code == asio::error::no_descriptors || code.value() == ENFILE || code.value() == ENOMEM ||
                 code.value() == ENOBUFS) {
        // Nothing is gained by asking again at once.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this, &acceptor](const Code& cancelled) {
          if (!cancelled && !core_.draining) accept(acceptor);
        });
        return;
      }
      accept(acceptor);
    });
  }

  void take(Tcp::socket socket) {
    set_options(socket);
    if (core_.open.size() >= core_.options.max_connections && !make_room()) return turn_away(socket);
    std::string peer = address_of(socket);
    auto transport = tls_ ? tls_transport(std::move(socket), tls_) : plain_transport(std::move(socket));
    std::make_shared<Connection>(core_, std::move(transport), std::move(peer))->start();
  }

  bool make_room() {
    std::shared_ptr<Connection> oldest;
    for (const auto& connection : all()) {
      if (connection->waiting() && (!oldest || connection->since() < oldest->since())) oldest = connection;
    }
    if (oldest) oldest->cut();
    return oldest != nullptr;
  }

  // One write that does not wait: the socket is new, so that there is room for it.
  void turn_away(Tcp::socket& socket) {
    if (tls_) return;
    Reply reply = refusal(503, "overloaded", "There are too many connections; try again later.");
    reply.fields.add("retry-after", "1");
    ReplyFrame frame;
    frame.date = core_.date();
    frame.request_id = core_.make_request_id();
    frame.close = true;
    frame.length = reply.body.size();
    frame.every_reply = &core_.options.every_reply;
    const std::string text = head_text(reply.status, reply.fields, frame) + reply.body;
    Code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
    socket.shutdown(Tcp::socket::shutdown_send, ignored);
  }

  Core core_;
  std::shared_ptr<asio::ssl::context> tls_;
  std::list<Tcp::acceptor> acceptors_;
  asio::steady_timer retry_;  // of accepting
  uint16_t port_ = 0;
};

Server::Server(ServerOptions options, Admit admit, Handle handle)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(admit), std::move(handle))) {}
Server::~Server() = default;
std::string bare_host(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

uint16_t Server::port() const { return impl_->port(); }
size_t Server::connections() const { return impl_->connections(); }
void Server::run() { impl_->run(); }
void Server::drain() { impl_->drain(); }
void Server::stop() { impl_->stop(); }
void Server::reload_certificate() { impl_->reload_certificate(); }

}  // namespace vl3::http
