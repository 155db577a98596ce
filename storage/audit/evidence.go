package audit

// Evidence is how an actor proved who it is.
type Evidence struct {
	Code string // one of the codes below
	ID   string // of the certificate or the order, if that is the evidence
	Via  string // the agent that forwarded the certificate
}

// The codes of evidence. They are stored, so none is renamed.
const (
	codeEnrollmentToken   = "enrollment_token"
	codePasskeyLink       = "passkey_link"
	codeClientCertificate = "client_certificate"
	codeForwarded         = "forwarded_client_certificate"
	codeExpired           = "expired_client_certificate"
	codeOperatorToken     = "operator_token"
	codePrivateKeyJWT     = "private_key_jwt"
	codeACMEOrder         = "acme_order"
	codeOperator          = "operator"
	codeServer            = "server"
)

// evidence says for people what each code means.
var evidence = []struct{ code, words string }{
	{codeEnrollmentToken, "enrollment token"},
	{codePasskeyLink, "link for a passkey"},
	{codeClientCertificate, "client certificate"},
	{codeForwarded, "forwarded client certificate"},
	{codeExpired, "expired client certificate"},
	{codeOperatorToken, "operator's token, and client certificate"},
	{codePrivateKeyJWT, "private_key_jwt"},
	{codeACMEOrder, "acme order"},
	{codeOperator, "an operator"},
	{codeServer, "this server"},
}

// Evidence that needs no identifier.
var (
	EnrollmentToken = Evidence{Code: codeEnrollmentToken}
	PasskeyLink     = Evidence{Code: codePasskeyLink} // of an operator
	PrivateKeyJWT   = Evidence{Code: codePrivateKeyJWT}
	ByOperator      = Evidence{Code: codeOperator}
	ByServer        = Evidence{Code: codeServer}
)

// ClientCertificate is the evidence of a client that has the key of a certificate.
func ClientCertificate(serial string) Evidence {
	return Evidence{Code: codeClientCertificate, ID: serial}
}

// OperatorToken is the evidence of an operator who has the key of a certificate, and presented a
// token that is bound to it.
func OperatorToken(serial string) Evidence { return Evidence{Code: codeOperatorToken, ID: serial} }

// ForwardedCertificate is the evidence of a client that has the key of a certificate, as the
// proxy says that forwarded it.
func ForwardedCertificate(serial, proxy string) Evidence {
	return Evidence{codeForwarded, serial, proxy}
}

// ExpiredCertificate is the evidence of a client that has the key of a certificate that has
// expired. It may renew and do nothing else.
func ExpiredCertificate(serial string) Evidence { return Evidence{Code: codeExpired, ID: serial} }

// FulfilledOrder is the evidence of a client that fulfilled an ACME order.
func FulfilledOrder(id string) Evidence { return Evidence{Code: codeACMEOrder, ID: id} }

// String says it as the reasons of an event do.
func (e Evidence) String() string {
	words := e.Code
	for _, v := range evidence {
		if v.code == e.Code {
			words = v.words
		}
	}
	if e.ID != "" {
		words += " " + e.ID
	}
	if e.Via != "" {
		words += ", by " + e.Via
	}
	return words
}

// Certificate returns the serial of the certificate that is the evidence, or nothing.
func (e Evidence) Certificate() string {
	switch e.Code {
	case codeClientCertificate, codeForwarded, codeExpired, codeOperatorToken:
		return e.ID
	}
	return ""
}
