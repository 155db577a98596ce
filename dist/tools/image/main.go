// Command image makes an OCI image of brevet without a daemon, as a tar file with an
// image layout. The image has the binary, a directory for the authority, and nothing
// else; it runs as a user without a name. dist/Containerfile says the same.
//
//	image -version V -time SECONDS -out FILE linux/amd64=BINARY linux/arm/v7=BINARY ...
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is the one that images of others call nonroot, too.
const user = 65532

func main() {
	version := flag.String("version", "", "of brevet")
	seconds := flag.Int64("time", 0, "of all files, in seconds since 1970")
	out := flag.String("out", "", "`FILE` to write")
	flag.Parse()
	if err := run(*version, time.Unix(*seconds, 0).UTC(), *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(version string, at time.Time, out string, binaries []string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arg := range binaries {
		name, path, _ := strings.Cut(arg, "=")
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return err
		}
		img, err := image(*platform, path, version, at)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	names := map[string]string{
		"org.opencontainers.image.ref.name": version,
		"io.containerd.image.name":          "localhost/brevet:" + version, // which podman, docker and ctr take
	}
	if err := p.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return err
	}
	return pack(dir, out, at)
}

func image(p v1.Platform, binary, version string, at time.Time) (v1.Image, error) {
	files, err := layer(binary, at)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if img, err = mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{Created: v1.Time{Time: at}, CreatedBy: "dist/tools/image"}}); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, configure(img, p, version, at))
}

func configure(img v1.Image, p v1.Platform, version string, at time.Time) *v1.ConfigFile {
	c, _ := img.ConfigFile() // of an image in memory
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Variant, c.Created = p.OS, p.Architecture, p.Variant, v1.Time{Time: at}
	c.Config = v1.Config{
		User:         fmt.Sprintf("%d:%[1]d", user),
		Env:          []string{"BREVET_DIR=/var/lib/brevet"},
		Entrypoint:   []string{"/usr/bin/brevet"},
		Cmd:          []string{"serve"},
		ExposedPorts: map[string]struct{}{"8443/tcp": {}, "8080/tcp": {}},
		Volumes:      map[string]struct{}{"/var/lib/brevet": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title": "brevet", "org.opencontainers.image.version": version,
			"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.source": "https://github.com/brevet-ca/brevet",
		},
	}
	return c
}
