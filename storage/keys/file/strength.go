package file

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minPassphrase is how many characters a new passphrase has at least. Passphrases of keys
// that exist may be shorter.
const minPassphrase = 12

// CheckNew refuses a passphrase that is too short for a new seal.
func (p Passphrase) CheckNew() error {
	if p.none() {
		return errNoPassphrase
	}
	if n := utf8.RuneCountInString(p.text.Reveal()); !p.plain && n < minPassphrase {
		return fmt.Errorf("the passphrase has %d characters: want %d at least, such as five words chosen at random", n, minPassphrase)
	}
	return nil
}

// Strength estimates how hard a passphrase is to guess, as the base-2 logarithm of the
// number of tries. It is an estimate for somebody who knows how people choose passphrases
// but not where this one is from: a line of a song is much weaker.
//
// The passphrase is cut into parts, from left to right, and their bits are added:
//
//	a word that is in every list of passwords             4
//	letters of one case, or capitalised, as if they were
//	words of eight letters from a dictionary of 8,000      13 a word, but at most 4.7 a letter
//	letters of both cases                                 5.7 a letter
//	digits                                                3.3 a digit
//	other characters                                      5 each
//	a run such as aaaa, abcd, 4321 or qwerty              as two of its characters
//	a part that was there before                          1
//
// A digit or sign in the place of a letter, as in p4ssw0rd, does not hide a word of the list.
func (p Passphrase) Strength() int {
	rest, bits, before := []rune(p.text.Reveal()), 0.0, map[string]bool{}
	for len(rest) > 0 {
		n, b := nextPart(rest)
		part := strings.ToLower(string(rest[:n]))
		if before[part] {
			b = 1
		}
		before[part] = true
		bits, rest = bits+b, rest[n:]
	}
	return int(bits)
}

// The bits of one character of each kind.
const (
	bitsLetter = 4.7 // of 26
	bitsMixed  = 5.7 // of 52
	bitsDigit  = 3.3 // of 10
	bitsOther  = 5.0 // of 32
	bitsWord   = 13.0
)

// nextPart returns how long the first part of s is, and its bits.
func nextPart(s []rune) (n int, bits float64) {
	if n := knownWord(s); n > 0 {
		return n, 4
	}
	if n := runOf(s); n > 2 {
		return n, 2 * bitsOf(s[0])
	}
	is := kindOf(s[0])
	for n < len(s) && is(s[n]) && (n == 0 || knownWord(s[n:]) == 0 && runOf(s[n:]) < 4) {
		n++
	}
	if !unicode.IsLetter(s[0]) {
		return n, float64(n) * bitsOf(s[0])
	}
	word, rest := string(s[:n]), string(s[1:n])
	if rest != strings.ToLower(rest) && word != strings.ToUpper(word) {
		return n, bitsMixed * float64(n)
	}
	return n, min(bitsLetter*float64(n), bitsWord*math.Ceil(float64(n)/8))
}

func kindOf(r rune) func(rune) bool {
	switch {
	case unicode.IsLetter(r):
		return unicode.IsLetter
	case unicode.IsDigit(r):
		return unicode.IsDigit
	}
	return func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
}

func bitsOf(r rune) float64 {
	switch {
	case unicode.IsLetter(r):
		return bitsLetter
	case unicode.IsDigit(r):
		return bitsDigit
	}
	return bitsOther
}

// runOf returns for how many characters s goes on with the same step: none, one up or one
// down, in the alphabet or on a keyboard.
func runOf(s []rune) int {
	longest := 1
	for _, step := range []rune{0, 1, -1} {
		n := 1
		for n < len(s) && s[n] == s[n-1]+step {
			n++
		}
		longest = max(longest, n)
	}
	for _, row := range []string{"qwertyuiop", "asdfghjkl", "zxcvbnm"} {
		n := 0
		for n < len(s) && strings.Contains(row, strings.ToLower(string(s[:n+1]))) {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

// knownWord returns how long a word is at the start of s that everybody tries first.
func knownWord(s []rune) int {
	for _, w := range knownWords {
		if n := len(w); len(s) >= n && strings.EqualFold(unmask.Replace(string(s[:n])), w) {
			return n
		}
	}
	return 0
}

var (
	unmask     = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t")
	knownWords = strings.Fields("passphrase password passwort kennwort brevet changeme default secret geheim welcome willkommen letmein master admin root login dragon monkey sunshine princess football iloveyou")
)
