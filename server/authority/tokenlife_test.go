package authority

import (
	"testing"

	"github.com/brevet-ca/brevet/agents/address"
	"github.com/brevet-ca/brevet/tokens"
)

// TestFormerIssuersOutliveTokens: a former URL answers until the last token that names it
// has ended.
func TestFormerIssuersOutliveTokens(t *testing.T) {
	if address.TokenLife < tokens.MaxLifetime {
		t.Errorf("tokens live for %s, and former addresses for %s after the last one", tokens.MaxLifetime, address.TokenLife)
	}
}
