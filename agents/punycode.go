package agents

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// toASCII returns the ASCII form of an internationalized name (RFC 5890, section
// 2.3.2.1), for messages that say how to write it. It does not check the characters:
// whoever writes the name so has chosen them.
func toASCII(name string) string {
	labels := strings.Split(strings.ToLower(name), ".")
	for i, label := range labels {
		if strings.IndexFunc(label, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			labels[i] = "xn--" + punycode([]rune(label))
		}
	}
	return strings.Join(labels, ".")
}

// punycode encodes a label (RFC 3492, sections 6.1 and 6.3).
func punycode(label []rune) string {
	const base, initial = 36, 128
	var out []byte
	for _, r := range label {
		if r < unicode.MaxASCII+1 {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	next, delta, bias := rune(initial), 0, 72
	for done := basic; done < len(label); next++ {
		least := slices.MinFunc(label, func(a, b rune) int { return int(above(a, next)) - int(above(b, next)) })
		delta += int(least-next) * (done + 1)
		next = least
		for _, r := range label {
			if r < next {
				delta++
			}
			if r != next {
				continue
			}
			q := delta
			for k := base; ; k += base {
				t := min(max(k-bias, 1), 26)
				if q < t {
					break
				}
				out = append(out, digit(t+(q-t)%(base-t)))
				q = (q - t) / (base - t)
			}
			out = append(out, digit(q))
			bias = adapt(delta, done+1, done == basic)
			delta = 0
			done++
		}
		delta++
	}
	return string(out)
}

// above returns r, or a value above all characters if r comes before next.
func above(r, next rune) rune {
	if r < next {
		return unicode.MaxRune + 1
	}
	return r
}

func digit(n int) byte {
	if n < 26 {
		return byte('a' + n)
	}
	return byte('0' + n - 26)
}

func adapt(delta, points int, first bool) int {
	const base, tmin, tmax, skew, damp = 36, 1, 26, 38, 700
	if delta /= 2; first {
		delta /= damp / 2
	}
	delta += delta / points
	k := 0
	for ; delta > (base-tmin)*tmax/2; k += base {
		delta /= base - tmin
	}
	return k + (base-tmin+1)*delta/(delta+skew)
}
