package address

import (
	"sync/atomic"
	"time"
)

// A Book is a view of the list on record. Its methods may be called concurrently.
type Book struct{ list atomic.Pointer[List] }

// At returns a book of an authority that is at one URL.
func At(url string) *Book { return NewBook(List{{URL: url}}) }

// NewBook returns a book of a list that is not empty.
func NewBook(l List) *Book {
	b := new(Book)
	b.Set(l)
	return b
}

// Set replaces the list.
func (b *Book) Set(l List) { b.list.Store(&l) }

// List returns the list, which the caller does not change.
func (b *Book) List() List { return *b.list.Load() }

// Current returns where agents are led.
func (b *Book) Current() string { return b.List().Current() }

// Issuer returns the issuer of tokens that are issued at t.
func (b *Book) Issuer(t time.Time) string { return b.List().Issuer(t) }
