#pragma once
// A host of the web for tests that speaks TLS, with a certificate for the names that a test chooses.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace vl3::test {

class TlsHost {
 public:
  // The whole reply to a request with this head.
  using Answer = std::function<std::string(const std::string& head)>;

  TlsHost(const std::vector<std::string>& names, Answer answer)
      : answer_(std::move(answer)), key_(EVP_EC_gen("P-256")), context_(SSL_CTX_new(TLS_server_method())) {
    make_certificate(names);
    SSL_CTX_use_certificate(context_.get(), certificate_.get());
    SSL_CTX_use_PrivateKey(context_.get(), key_.get());
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listening_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listening_, 64);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve_all(); });
  }
  ~TlsHost() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
  }
  TlsHost(const TlsHost&) = delete;
  TlsHost& operator=(const TlsHost&) = delete;

  uint16_t port() const { return port_; }
  // Who trusts this file trusts the host.
  void write_certificate(const std::filesystem::path& path) const {
    FILE* file = std::fopen(path.c_str(), "w");
    PEM_write_X509(file, certificate_.get());
    std::fclose(file);
  }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  template <auto free>
  struct Free {
    template <class T>
    void operator()(T* value) const {
      free(value);
    }
  };

  void make_certificate(const std::vector<std::string>& names) {
    certificate_.reset(X509_new());
    X509* x509 = certificate_.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key_.get());
    X509_NAME* subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("tests"),
                               -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "DNS:" : ",DNS:") + name;
    const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, list.c_str()));
    X509_add_ext(x509, extension.get(), -1);
    X509_sign(x509, key_.get(), EVP_sha256());
  }

  void serve_all() {
    sigset_t broken_pipe;  // where a client goes away, as one does that does not trust the certificate
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    for (;;) {
      const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      serve(client);
      ::close(client);
    }
  }
  void serve(int client) {
    const std::unique_ptr<SSL, Free<SSL_free>> tls(SSL_new(context_.get()));
    SSL_set_fd(tls.get(), client);
    if (SSL_accept(tls.get()) <= 0) return;
    std::string head;
    char piece[4096];
    while (head.find("\r\n\r\n") == std::string::npos) {
      const int got = SSL_read(tls.get(), piece, sizeof piece);
      if (got <= 0) return;
      head.append(piece, static_cast<size_t>(got));
    }
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(head);
    }
    const std::string reply = answer_(head);
    SSL_write(tls.get(), reply.data(), static_cast<int>(reply.size()));
    SSL_shutdown(tls.get());
  }

  Answer answer_;
  std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>> key_;
  std::unique_ptr<X509, Free<X509_free>> certificate_;
  std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> context_;
  int listening_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace vl3::test
