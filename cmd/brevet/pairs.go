package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/brevet-ca/brevet/agents"
)

// A pair is what stands on both sides of an equals sign.
type pair[T any] struct {
	key   string
	value T
}

// label reads K=V.
func label(s string) (p pair[string], err error) {
	k, v, ok := strings.Cut(s, "=")
	if !ok || k == "" || v == "" {
		return p, fmt.Errorf("invalid label %.80q: want KEY=VALUE", s)
	}
	return pair[string]{k, v}, agents.CheckLabel(k, v)
}

// labelsOf returns the labels that were given, which flagTypes has checked.
func labelsOf(c *cli.Context) (map[string]string, error) {
	labels := map[string]string{}
	for _, s := range c.StringSlice("label") {
		p, err := label(s)
		if err != nil {
			return nil, misuse(c, "--label: %v", err)
		}
		if _, twice := labels[p.key]; twice {
			return nil, misuse(c, "--label %s is given twice", p.key)
		}
		labels[p.key] = p.value
	}
	return labels, nil
}

// quota reads KIND=N. A negative number is the default.
func quota(s string) (p pair[int64], err error) {
	kind, value, _ := strings.Cut(s, "=")
	n, err := strconv.ParseInt(value, 10, 32)
	if value == "default" {
		n, err = -1, nil
	} else if n < 0 {
		err = strconv.ErrRange
	}
	if err != nil {
		return p, fmt.Errorf("invalid quota %.80q: want KIND=N, such as tokens=50000, or KIND=default", s)
	}
	_, err = agents.ParseQuotaKind(kind)
	return pair[int64]{kind, n}, err
}

// quotasOf returns the quotas that were given, which flagTypes has checked.
func quotasOf(c *cli.Context) (map[string]int64, error) {
	var quotas map[string]int64
	for _, s := range c.StringSlice("quota") {
		p, err := quota(s)
		if err != nil {
			return nil, misuse(c, "--quota: %v", err)
		}
		if quotas == nil {
			quotas = map[string]int64{}
		}
		quotas[p.key] = p.value
	}
	return quotas, nil
}
