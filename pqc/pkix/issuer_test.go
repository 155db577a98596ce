package pkix

import (
	"crypto/x509"
	"math/big"
	"testing"
)

// TestSerialInErrors: a serial number can be searched for as it is shown elsewhere.
func TestSerialInErrors(t *testing.T) {
	c := Certificate{X509: &x509.Certificate{SerialNumber: big.NewInt(0x0cffb3)}}
	if got, want := c.name(), `"" (serial 0cffb3)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
