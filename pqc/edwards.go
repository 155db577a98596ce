package pqc

import (
	"errors"
	"math/big"
	"slices"
)

// The EdDSA implementations find out about a bad public key when they verify. A
// key parser must refuse it earlier, so the check of RFC 8032, sections 5.1.3 and
// 5.2.3, stands here. Public keys are public: big.Int's timing does no harm.

// An edwards is the curve a·x² + y² = 1 + d·x²·y² modulo p, a = 1 or -1.
type edwards struct {
	octets int
	p, d   *big.Int
	a      int64
}

var (
	one = big.NewInt(1)

	curve25519 = newEdwards(32, -1, "57896044618658097711785492504343953926634992332820282019728792003956564819949",
		"37095705934669439343138083508754565189542113879843219016388785533085940283555")
	curve448 = newEdwards(57, 1, "726838724295606890549323807888004534353641360687318060281490199180612328166730772686396383698676545930088884461843637361053498018365439",
		"-39081")
)

func newEdwards(octets int, a int64, p, d string) *edwards {
	c := &edwards{octets: octets, a: a, p: new(big.Int), d: new(big.Int)}
	c.p.SetString(p, 10)
	c.d.SetString(d, 10)
	return c
}

var (
	errEdwardsSize  = errors.New("the public key has another size than the curve's")
	errEdwardsPoint = errors.New("the public key is no point of the curve, or not in canonical form")
	errEdwardsOrder = errors.New("the public key is a point of small order, for which anyone can sign")
)

// check refuses texts that are not the canonical encoding of a point, and points of
// small order.
func (c *edwards) check(b []byte) error {
	if len(b) != c.octets {
		return errEdwardsSize
	}
	be := slices.Clone(b)
	slices.Reverse(be)
	be[0] &= 0x7f // without the sign of x: both x lie on the curve, or neither
	y := new(big.Int).SetBytes(be)
	if y.Cmp(c.p) >= 0 {
		return errEdwardsPoint
	}
	// x² = u/v with u = 1 - y², v = a - d·y²; u/v is a square where u·v is one.
	y2 := c.mul(y, y)
	u := new(big.Int).Sub(one, y2)
	v := new(big.Int).Sub(big.NewInt(c.a), c.mul(c.d, y2))
	uv := c.mul(u, v)
	switch square := big.Jacobi(uv, c.p); {
	case square < 0:
		return errEdwardsPoint
	case square == 0 || y.Sign() == 0 || c.order8(y2):
		return errEdwardsOrder
	}
	return nil
}

// order8 tells the points whose double has y = 0: for them y² = a·x², and with
// the equation of the curve a·d·y⁴ - 2·y² + 1 = 0.
func (c *edwards) order8(y2 *big.Int) bool {
	n := c.mul(c.d, c.mul(y2, y2))
	n.Mul(n, big.NewInt(c.a))
	n.Sub(n, new(big.Int).Lsh(y2, 1))
	n.Add(n, one)
	return n.Mod(n, c.p).Sign() == 0
}

func (c *edwards) mul(a, b *big.Int) *big.Int {
	n := new(big.Int).Mul(a, b)
	return n.Mod(n, c.p)
}
