package api

import "time"

// An Agent is what operators see of an agent.
type Agent struct {
	Name        string            `json:"name"`
	ID          string            `json:"id"` // SPIFFE ID
	State       string            `json:"state"`
	Owner       string            `json:"owner"`
	Purpose     string            `json:"purpose,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Scopes      []string          `json:"scopes,omitempty"`
	Audiences   []string          `json:"audiences,omitempty"`
	DNS         []string          `json:"dns,omitempty"`
	IPs         []string          `json:"ips,omitempty"`
	Keys        int               `json:"keys,omitempty"` // how many are registered for private_key_jwt
	TTL         string            `json:"ttl,omitempty"`
	Expires     time.Time         `json:"expires,omitzero"`
	Created     time.Time         `json:"created"`
	Changed     time.Time         `json:"changed"`
	Certified   time.Time         `json:"certified,omitzero"`    // when its latest certificate was issued
	Certificate string            `json:"certificate,omitempty"` // serial number of that certificate, while it can be used
	CertExpires time.Time         `json:"certificate_expires,omitzero"`
}

// An AddRequest registers an agent.
type AddRequest struct {
	Name string `json:"name"`
	Change
}

// A Change is what an operator writes about an agent, as text that the server
// checks. What is nil is left as it is; an empty list empties it.
//
// It has the fields of agents.Change, so that the server converts it as it is:
// neither can have a field that the other lacks.
type Change struct {
	Owner     *string           `json:"owner,omitempty"`
	Purpose   *string           `json:"purpose,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"` // merged; an empty value removes the label
	Scopes    []string          `json:"scopes,omitzero"`
	Audiences []string          `json:"audiences,omitzero"`
	DNS       []string          `json:"dns,omitzero"`      // NAME or NAME,challenge
	IPs       []string          `json:"ips,omitzero"`      // ADDRESS or ADDRESS,challenge
	Keys      []string          `json:"keys,omitzero"`     // PEM "PUBLIC KEY"s, for private_key_jwt
	TTL       *time.Duration    `json:"ttl,omitempty"`     // nanoseconds; 0 means the profile's
	Expires   *time.Time        `json:"expires,omitempty"` // the zero time means never
}

// A Shown agent is one with what it takes a longer look to know.
type Shown struct {
	Agent
	ACMEAccounts int `json:"acme_accounts"` // those that can be used
}

// An Invited agent is one that was registered or may enroll anew, with its
// one-time token and its ACME key: the only time that they are shown.
type Invited struct {
	Agent
	Enrollment Enrollment `json:"enrollment"`
	ACME       ACMEKey    `json:"acme"`
}

// An Enrollment is a one-time token.
type Enrollment struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// An ACMEKey is what an ACME client opens an account of the agent with (RFC
// 8555, section 7.3.4), once, until the enrollment token expires.
type ACMEKey struct {
	Directory string `json:"directory"` // URL
	KeyID     string `json:"eab_kid"`
	MACKey    string `json:"eab_hmac_key"` // base64url, for HMAC-SHA256
}

// A Receipt says what a revocation ended.
type Receipt struct {
	At           time.Time   `json:"at"`
	Certificates int         `json:"certificates"`
	Tokens       int         `json:"tokens"`
	ACMEAccounts int         `json:"acme_accounts"`
	CRL          []CRLNumber `json:"crl"`
	// DeadAfter is the last moment at which any of it can still work, with a
	// relying party that asks neither the CRL, nor OCSP, nor introspection.
	DeadAfter time.Time `json:"dead_after"`
	Warning   string    `json:"warning,omitempty"` // the revocation stands, but the CRL is late
	DryRun    bool      `json:"dry_run,omitempty"`
}

// A CRLNumber names one published list.
type CRLNumber struct {
	Issuer string `json:"issuer"`
	Number int64  `json:"number"`
}

// A Selection says what to revoke: what fits every member that is set.
type Selection struct {
	Agent        string            `json:"agent,omitempty"`
	Owner        string            `json:"owner,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	IssuedBefore time.Time         `json:"issued_before,omitzero"`
	IssuedSince  time.Time         `json:"issued_since,omitzero"`
	Reason       string            `json:"reason,omitempty"`
	DryRun       bool              `json:"dry_run,omitempty"`
}

// A Certificate is what operators see of a certificate.
type Certificate struct {
	Serial      string    `json:"serial"`
	Agent       string    `json:"agent"`
	State       string    `json:"state"` // active, revoked, expired
	Issuer      string    `json:"issuer"`
	IssuedAt    time.Time `json:"issued_at"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Profile     string    `json:"profile"`
	Names       []string  `json:"names"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER, in hexadecimal
	RevokedAt   time.Time `json:"revoked_at,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// An IssueRequest has the authority issue a certificate at an operator's word.
type IssueRequest struct {
	CSR     string `json:"csr"`               // PEM
	TTL     string `json:"ttl,omitempty"`     // such as 5m
	Profile string `json:"profile,omitempty"` //
}

// An Issued certificate is the answer of everything that issues one.
type Issued struct {
	Certificate string    `json:"certificate"` // PEM
	Chain       string    `json:"chain"`       // PEM, from the issuer upwards, without the root
	NotAfter    time.Time `json:"not_after"`
}

// A Token is what operators see of an access token.
type Token struct {
	ID        string    `json:"jti"`
	Agent     string    `json:"agent"`
	State     string    `json:"state"`
	IssuedAt  time.Time `json:"issued_at"`
	Expires   time.Time `json:"expires_at"`
	Scope     string    `json:"scope"`
	Audiences []string  `json:"aud"`
	Bound     string    `json:"certificate,omitempty"` // serial number of the certificate it is bound to
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// A CRL is what operators see of a published list.
type CRL struct {
	Issuer     string    `json:"issuer"`
	Number     int64     `json:"number"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Entries    []Entry   `json:"entries,omitempty"`
	Revoked    int       `json:"revoked"` // how many entries there are
	URL        string    `json:"url"`
}

// An Entry is one revoked certificate on a list.
type Entry struct {
	Serial    string    `json:"serial"`
	RevokedAt time.Time `json:"revoked_at"`
	Reason    string    `json:"reason,omitempty"`
}

// A Key is what operators see of a signing key.
type Key struct {
	ID        string    `json:"id"`
	Purpose   string    `json:"purpose"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
	Expires   time.Time `json:"expires,omitzero"` // of its CA certificate, if it has one
}

// A Status is how the authority is.
type Status struct {
	Version         string         `json:"version"`
	TrustDomain     string         `json:"trust_domain"`
	Advertise       string         `json:"advertise"`
	RootFingerprint []string       `json:"root_fingerprints"` // SHA-256 of the DER, in hexadecimal
	Healthy         bool           `json:"healthy"`
	Problems        []string       `json:"problems,omitempty"`
	Started         time.Time      `json:"started"`
	Agents          map[string]int `json:"agents"`       // by state
	Certificates    int            `json:"certificates"` // active ones
	Tokens          int            `json:"tokens"`       // active ones
	ACMEAccounts    int            `json:"acme_accounts"`
	Events          int64          `json:"events"`
	StoreBytes      int64          `json:"store_bytes"`
	CRL             CRL            `json:"crl"`
	IssuerExpires   time.Time      `json:"issuer_expires"`
	RootExpires     time.Time      `json:"root_expires"`
	ServerExpires   time.Time      `json:"server_certificate_expires"`
}

// An Event is an entry of the audit log, as package audit writes it.
type Event struct {
	Seq        int64     `json:"seq"`
	Time       time.Time `json:"time"`
	Actor      string    `json:"actor"`
	OnBehalfOf string    `json:"on_behalf_of,omitempty"`
	Action     string    `json:"action"`
	Subject    string    `json:"subject,omitempty"`
	Decision   string    `json:"decision"` // allow, deny
	Reasons    []string  `json:"reasons,omitempty"`
	Request    string    `json:"request,omitempty"`
	Credential string    `json:"credential,omitempty"` // serial number of a certificate or jti of a token
}

// A Verified log is what audit verify found.
type Verified struct {
	Entries    int64  `json:"entries"`
	Root       string `json:"root"`       // base64
	Checkpoint string `json:"checkpoint"` // signed, of the log as it is now: keep it elsewhere
}

// A Rehearsal says what a rotation of a key would do. Nothing was changed.
type Rehearsal struct {
	Purpose string         `json:"purpose"`
	From    string         `json:"from,omitempty"` // algorithm; "" if there is no key yet
	To      string         `json:"to"`
	Sizes   []Size         `json:"sizes"`
	Parties []RelyingParty `json:"parties"`
	Breaks  int            `json:"breaks"` // how many of the parties
	Unknown int            `json:"unknown"`
	Works   int            `json:"works"`
	Since   time.Time      `json:"since,omitzero"` // when the first of all parties was first seen
	Remarks []string       `json:"remarks,omitempty"`
}

// A Size is that of something before and after, in octets.
type Size struct {
	What string `json:"what"`
	Now  int    `json:"now,omitempty"` // 0 if there is none
	Then int    `json:"then"`
}

// A RelyingParty is somebody who relied on the authority lately, and how the
// rotation would be taken.
type RelyingParty struct {
	Who      string    `json:"who"`             // an agent's name, or an address
	Agent    bool      `json:"agent,omitempty"` // it is an agent's name
	Software string    `json:"software,omitempty"`
	Uses     []string  `json:"uses"`
	Seen     time.Time `json:"seen"`    // last
	Verdict  string    `json:"verdict"` // works, unknown, breaks
	Why      string    `json:"why"`
}
