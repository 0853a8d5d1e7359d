#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "http/server.h"
#include "support/raw_client.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3::http {
namespace {

template <auto free>
struct Free {
  template <class T>
  void operator()(T* value) const {
    free(value);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

// A key and a certificate of its own for `name`, as files.
void make_certificate(const std::filesystem::path& certificate, const std::filesystem::path& key,
                      const std::string& name) {
  const Key made(EVP_EC_gen("P-256"));
  const Certificate x509(X509_new());
  X509_set_version(x509.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
  X509_set_pubkey(x509.get(), made.get());
  X509_NAME* subject = X509_get_subject_name(x509.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509.get(), subject);
  ASSERT_GT(X509_sign(x509.get(), made.get(), EVP_sha256()), 0);
  FILE* file = std::fopen(certificate.c_str(), "w");
  ASSERT_EQ(PEM_write_X509(file, x509.get()), 1);
  std::fclose(file);
  file = std::fopen(key.c_str(), "w");
  ASSERT_EQ(PEM_write_PrivateKey(file, made.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
  std::fclose(file);
}

// A client of TLS with a version of its choice; trusts anybody.
class TlsClient {
 public:
  explicit TlsClient(uint16_t port, int max_version = 0)
      : raw_(port), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_.get(), 0);  // lets it offer what is old
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), raw_.socket());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }
  bool connected() const { return connected_; }
  std::string peer_name() const {
    const Certificate certificate(SSL_get1_peer_certificate(ssl_.get()));
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof name);
    return name;
  }
  std::string ask(std::string_view bytes) {
    SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    std::string got;
    char buffer[4096];
    for (int n = 0; (n = SSL_read(ssl_.get(), buffer, sizeof buffer)) > 0;)
      got.append(buffer, static_cast<size_t>(n));
    clean_ = SSL_get_error(ssl_.get(), 0) == SSL_ERROR_ZERO_RETURN;
    return got;
  }
  bool clean() const { return clean_; }  // the server said that it ends

 private:
  RawClient raw_;
  std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Free<SSL_free>> ssl_;
  bool connected_ = false, clean_ = false;
};

class TlsServer : public testing::Test {
 protected:
  void SetUp() override { serve(); }
  void serve(std::chrono::milliseconds head_timeout = std::chrono::minutes(10)) {
    make_certificate(folder_ / "c.pem", folder_ / "k.pem", "first");
    ServerOptions options;
    options.port = 0;
    options.tls_certificate = folder_ / "c.pem";
    options.tls_key = folder_ / "k.pem";
    options.head_timeout = head_timeout;
    server_ = std::make_unique<Server>(
        options, [](const Head&) { return std::nullopt; },
        [](Request request, const std::shared_ptr<Exchange>& exchange) {
          exchange->send({200, {}, request.encrypted ? "encrypted" + request.body : "plain"});
        });
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override { stop(); }
  void stop() {
    server_->stop();
    thread_.join();
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

constexpr const char* kAsk = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

TEST_F(TlsServer, SpeaksTls12AndLaterAlone) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server_->port(), version);
    ASSERT_TRUE(client.connected()) << version;
    const std::string got = client.ask(kAsk);
    EXPECT_TRUE(got.ends_with("encrypted")) << got;
    EXPECT_TRUE(client.clean());
  }
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION})
    EXPECT_FALSE(TlsClient(server_->port(), version).connected()) << version;
  RawClient plain(server_->port());
  EXPECT_EQ(status_of(plain.ask(kAsk)), "");
  EXPECT_TRUE(plain.ended());
}

TEST_F(TlsServer, WhoNeverBeginsWithTlsIsCutOff) {
  stop();
  serve(std::chrono::milliseconds(300));
  RawClient silent(server_->port());
  silent.read();
  EXPECT_TRUE(silent.ended()) << "who never begins with TLS may stay";
}

TEST_F(TlsServer, LargeBodiesGoThrough) {
  TlsClient client(server_->port());
  const std::string body(3 << 20, 'x');
  const std::string got = client.ask("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " +
                                     std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(status_of(got), "200");
  EXPECT_TRUE(got.ends_with("encrypted" + body));
}

TEST_F(TlsServer, CertificatesAreReadAgain) {
  EXPECT_EQ(TlsClient(server_->port()).peer_name(), "first");
  make_certificate(folder_ / "c.pem", folder_ / "k.pem", "second");
  server_->reload_certificate();
  std::string name;
  for (int i = 0; i < 2000 && name != "second"; ++i) name = TlsClient(server_->port()).peer_name();
  EXPECT_EQ(name, "second");
  test::write_text(folder_ / "c.pem", "nothing");
  EXPECT_THROW(server_->reload_certificate(), Error);
  EXPECT_EQ(TlsClient(server_->port()).peer_name(), "second") << "the old one does not stay";
}

TEST_F(TlsServer, FilesThatAreNoCertificateAreNamed) {
  const auto message = [&](const std::string& certificate, const std::string& key) -> std::string {
    ServerOptions options;
    options.port = 0;
    options.tls_certificate = folder_ / certificate;
    options.tls_key = folder_ / key;
    try {
      Server server(options, {}, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  make_certificate(folder_ / "other.pem", folder_ / "other_key.pem", "other");
  EXPECT_NE(message("absent.pem", "k.pem").find("absent.pem"), std::string::npos);
  EXPECT_NE(message("c.pem", "absent_key.pem").find("absent_key.pem"), std::string::npos);
  EXPECT_NE(message("c.pem", "other_key.pem").find("other_key.pem"), std::string::npos);
}

}  // namespace
}  // namespace vl3::http
