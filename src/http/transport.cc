#include "http/transport.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <fstream>
#include <utility>

#include "base/check.h"

namespace vl3::http {
namespace {

namespace asio = boost::asio;
using Socket = asio::ip::tcp::socket;
using Code = boost::system::error_code;

class Plain final : public Transport {
 public:
  explicit Plain(Socket socket) : socket_(std::move(socket)) {}
  Socket& socket() override { return socket_; }
  bool encrypted() const override { return false; }
  void begin(Done done) override {
    asio::post(socket_.get_executor(), [done = std::move(done)] { done({}, 0); });
  }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    socket_.async_read_some(buffer, std::move(done));
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    socket_.async_write_some(buffer, std::move(done));
  }
  void end_writing(Done done) override {
    Code code;
    socket_.shutdown(Socket::shutdown_send, code);
    asio::post(socket_.get_executor(), [done = std::move(done), code] { done(code, 0); });
  }

 private:
  Socket socket_;
};

class Tls final : public Transport {
 public:
  Tls(Socket socket, std::shared_ptr<asio::ssl::context> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {}
  Socket& socket() override { return stream_.next_layer(); }
  bool encrypted() const override { return true; }
  void begin(Done done) override {
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [done = std::move(done)](const Code& code) { done(code, 0); });
  }
  void read_some(asio::mutable_buffer buffer, Done done) override {
    stream_.async_read_some(buffer, std::move(done));
  }
  void write_some(asio::const_buffer buffer, Done done) override {
    stream_.async_write_some(buffer, std::move(done));
  }
  void end_writing(Done done) override {
    stream_.async_shutdown([done = std::move(done)](const Code& code) { done(code, 0); });
  }

 private:
  std::shared_ptr<asio::ssl::context> context_;  // its certificates may be replaced meanwhile
  asio::ssl::stream<Socket> stream_;
};

}  // namespace

std::unique_ptr<Transport> plain_transport(Socket socket) {
  return std::make_unique<Plain>(std::move(socket));
}

std::unique_ptr<Transport> tls_transport(Socket socket, std::shared_ptr<asio::ssl::context> context) {
  return std::make_unique<Tls>(std::move(socket), std::move(context));
}

std::shared_ptr<asio::ssl::context> tls_context(const std::filesystem::path& certificate,
                                                const std::filesystem::path& key) {
  for (const std::filesystem::path& file : {certificate, key})
    require(std::ifstream(file).is_open(), ErrorCode::kInvalidArgument, "[{}] is no file that can be read",
            file.string());
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // With TLS 1.2, forward secrecy and authenticated encryption alone.
  SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20");
  Code code;
  context->use_certificate_chain_file(certificate.string(), code);
  require(!code, ErrorCode::kInvalidArgument, "[{}] cannot be read as a certificate: {}",
          certificate.string(), code.message());
  context->use_private_key_file(key.string(), asio::ssl::context::pem, code);
  require(!code, ErrorCode::kInvalidArgument, "[{}] cannot be read as the key of {}: {}", key.string(),
          certificate.string(), code.message());
  require(SSL_CTX_check_private_key(raw) == 1, ErrorCode::kInvalidArgument, "[{}] is not the key of {}",
          key.string(), certificate.string());
  return context;
}

}  // namespace vl3::http
