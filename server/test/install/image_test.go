package install_test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"
)

// checkImage reads an OCI image layout and compares the image with dist/Containerfile.
func checkImage(t *testing.T, file string) {
	t.Helper()
	blobs := unpack(t, file)
	type descriptor struct {
		Digest   string
		Platform struct{ OS, Architecture string }
	}
	var index, images struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var image struct {
		OS, Architecture string
		Config           struct {
			User            string
			Env, Entrypoint []string
			Cmd             []string
			Volumes         map[string]struct{}
			ExposedPorts    map[string]struct{}
		}
	}
	decode := func(name string, into any) {
		t.Helper()
		if err := json.Unmarshal(blobs[name], into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	blob := func(d descriptor) string { return "blobs/" + strings.Replace(d.Digest, ":", "/", 1) }
	decode("index.json", &index)
	decode(blob(index.Manifests[0]), &images)
	decode(blob(images.Manifests[0]), &manifest)
	decode(blob(manifest.Config), &image)
	if p := images.Manifests[0].Platform; len(images.Manifests) != 1 || p.OS != "linux" || p.Architecture != "amd64" || image.OS != p.OS || image.Architecture != p.Architecture {
		t.Errorf("the image is for %+v", images)
	}
	if len(manifest.Layers) != 1 || blobs[blob(manifest.Layers[0])] == nil {
		t.Errorf("the layers are %v", manifest.Layers)
	}
	c := image.Config
	text := read(t, root, "dist/Containerfile")
	for _, want := range []string{
		"USER " + c.User, "ENV " + strings.Join(c.Env, " "), fmt.Sprintf("ENTRYPOINT [%q]", strings.Join(c.Entrypoint, " ")),
		fmt.Sprintf("CMD [%q]", strings.Join(c.Cmd, " ")),
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("the image has %q, and the Containerfile not", want)
		}
	}
	for volume := range c.Volumes {
		if !strings.Contains(text, "\nVOLUME "+volume+"\n") {
			t.Errorf("the Containerfile has no volume %s", volume)
		}
	}
	if c.User == "" || strings.HasPrefix(c.User, "0") || len(c.ExposedPorts) != 2 {
		t.Errorf("the image is configured as %+v", c)
	}
}

// unpack returns the files of a layout, whose blobs have their hashes as names.
func unpack(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(text)); strings.HasPrefix(h.Name, "blobs/") && path.Base(h.Name) != sum {
			t.Errorf("%s has the hash %s", h.Name, sum)
		}
		files[h.Name] = text
	}
}
