package ceremony

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"github.com/brevet-ca/brevet/agents"
	"github.com/brevet-ca/brevet/crl"
)

// MaxResponse is the largest file that is read as a response, in octets: 24 CRLs with the
// largest signatures, and the OCSP answers that go with them, take a third.
const MaxResponse = 8 << 20

// A Response is what a root has signed. The file has PEM blocks that other programs know:
// the certificates of issuers, then the CRLs in their order, each followed by the OCSP
// answers that say the same. If several roots have signed, the file has that of each, one after
// the other, and each begins with the certificate of the root.
type Response struct {
	Certificates [][]byte
	Lists        []List
	Beside       []*Response
}

// All returns the parts of a response, one for each root.
func (r *Response) All() []*Response { return append([]*Response{r}, r.Beside...) }

// A List is a CRL and the OCSP answers that go with it, in DER.
type List struct {
	CRL     []byte
	Answers [][]byte
}

const (
	certificateBlock = "CERTIFICATE"
	crlBlock         = "X509 CRL"
	answerBlock      = "OCSP RESPONSE"
)

// Marshal returns the file.
func (r *Response) Marshal() []byte {
	var text bytes.Buffer
	add := func(kind string, der []byte) { pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}) }
	for _, der := range r.Certificates {
		add(certificateBlock, der)
	}
	for _, l := range r.Lists {
		add(crlBlock, l.CRL)
		for _, der := range l.Answers {
			add(answerBlock, der)
		}
	}
	for _, b := range r.Beside {
		text.Write(b.Marshal())
	}
	return text.Bytes()
}

const (
	maxCertificates = 8  // new issuers of one request
	maxSigned       = 64 // certificates by one root in a response: a new root signs those of all issuers
	maxBeside       = 3  // roots beside the first one
)

// ParseResponse reads a response. It refuses whatever Marshal would not write, except for
// ends of lines.
func ParseResponse(text []byte) (*Response, error) {
	wrong := func(format string, args ...any) (*Response, error) {
		return nil, fmt.Errorf("%w response: %s", agents.ErrInvalid, fmt.Sprintf(format, args...))
	}
	if len(text) > MaxResponse {
		return wrong("larger than %d octets", MaxResponse)
	}
	r := new(Response)
	part := r // the last one
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == certificateBlock && len(part.Lists) > 0 && len(r.Beside) < maxBeside {
			part = new(Response)
			r.Beside = append(r.Beside, part)
		}
		last := len(part.Lists) - 1
		switch {
		case block.Type == certificateBlock && last < 0 && len(part.Certificates) < maxSigned:
			part.Certificates = append(part.Certificates, block.Bytes)
		case block.Type == crlBlock && last+1 < crl.MaxSeries:
			part.Lists = append(part.Lists, List{CRL: block.Bytes})
		case block.Type == answerBlock && last >= 0:
			part.Lists[last].Answers = append(part.Lists[last].Answers, block.Bytes)
		default:
			return wrong("a block %.40q is not expected there", block.Type)
		}
	}
	switch {
	case len(r.Certificates) == 0 && len(r.Lists) == 0:
		return wrong("it is not a file of brevet ca sign")
	case !bytes.Equal(r.Marshal(), lines(text)):
		return wrong("it is not exactly what brevet ca sign wrote")
	}
	return r, nil
}
