#pragma once
// Bytes of one connection, plain or under TLS. Everything happens on the thread that runs the socket's
// io_context.

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>

namespace boost::asio::ssl {
class context;
}

namespace vl3::http {

class Transport {
 public:
  using Done = std::function<void(const boost::system::error_code&, size_t)>;
  virtual ~Transport() = default;
  virtual boost::asio::ip::tcp::socket& socket() = 0;
  virtual bool encrypted() const = 0;
  // Ready to read and write when done is called.
  virtual void begin(Done done) = 0;
  // One at a time of each kind.
  virtual void read_some(boost::asio::mutable_buffer buffer, Done done) = 0;
  virtual void write_some(boost::asio::const_buffer buffer, Done done) = 0;
  // Tells the other side that nothing more comes; reading goes on.
  virtual void end_writing(Done done) = 0;
};

std::unique_ptr<Transport> plain_transport(boost::asio::ip::tcp::socket socket);
std::unique_ptr<Transport> tls_transport(boost::asio::ip::tcp::socket socket,
                                         std::shared_ptr<boost::asio::ssl::context> context);

// TLS 1.2 and later with this chain and key (PEM). Throws kInvalidArgument, naming the file.
std::shared_ptr<boost::asio::ssl::context> tls_context(const std::filesystem::path& certificate,
                                                       const std::filesystem::path& key);

}  // namespace vl3::http
