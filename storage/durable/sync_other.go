//go:build !unix

package durable

// SyncDir does nothing: here a directory cannot be synced.
func SyncDir(dir string) error { return nil }
