package config

import (
	"slices"

	"github.com/brevet-ca/brevet/agents"
)

// at returns f as if it advertised another URL.
func (f *File) at(url string) *File {
	g := *f
	g.Advertise = url
	return &g
}

// BaseURLAt is BaseURL for an authority that is at another URL than f says.
func (f *File) BaseURLAt(url string) string { return f.at(url).BaseURL() }

// NamesAt is Names for an authority that is reached at some URLs, besides the one in f.
func (f *File) NamesAt(urls []string) agents.Change {
	c := f.Names()
	for _, url := range urls {
		more := f.at(url).Names()
		c.DNS, c.IPs = join(c.DNS, more.DNS), join(c.IPs, more.IPs)
	}
	return c
}

func join(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// CheckURL returns nil if an authority can be at s.
func CheckURL(s string) error {
	_, err := parseOrigin("URL", "https", "443", s)
	return err
}

// ParseMove reads the URL to which the authority moves, as advertise would have it.
func (f *File) ParseMove(s string) (string, error) {
	url, err := parseAdvertise(s)
	if err == nil {
		err = f.at(url).checkNames()
	}
	return url, err
}
