package authority

import (
	"slices"
	"testing"
	"time"

	"github.com/brevet-ca/brevet/server/admin/api"
	"github.com/brevet-ca/brevet/storage"
)

// TestRoomOnTheDisk, by sizes. A tmpfs may have no size, and small disks are sized for their use.
func TestRoomOnTheDisk(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		what                     string
		free, reserve, disk, all int64
		want                     []string
	}{
		{"much room", 8 * mb, 4 * mb, 10000 * mb, 20000 * mb, nil},
		{"a disk that is low", 8 * mb, 4 * mb, 200 * mb, 20000 * mb, []string{"warning disk-low"}},
		{"one that is nearly full", 8 * mb, 4 * mb, 20 * mb, 20000 * mb, []string{"critical disk-low"}},
		{"a small tmpfs", 8 * mb, 4 * mb, 50 * mb, 100 * mb, nil},
		{"a small tmpfs that is low", 8 * mb, 4 * mb, 5 * mb, 100 * mb, []string{"warning disk-low"}},
		{"a tmpfs without a size", 8 * mb, 4 * mb, 0, 0, nil},
		{"a reserve that was used", 3 * mb, 4 * mb, 10000 * mb, 20000 * mb, []string{"warning reserve-low"}},
		{"by more than half", mb, 4 * mb, 0, 0, []string{"critical reserve-low"}},
		{"an engine without one", 0, 0, 0, 0, nil},
	} {
		var got []string
		for _, r := range roomReasons(storage.Stats{Free: c.free, Reserve: c.reserve, DiskFree: c.disk, DiskSize: c.all}, "make room") {
			got = append(got, string(r.Level)+" "+r.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// TestNotice: what lives long is told of some time before its end, and what lives shortly when
// a part of its life is left.
func TestNotice(t *testing.T) {
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		life, left time.Duration
		want       api.Level
	}{
		{day(90), day(31), api.OK}, {day(90), day(29), api.Warning}, {day(90), day(8), api.Warning}, {day(90), day(6), api.Critical}, {day(90), -1, api.Critical},
		{day(3), day(2), api.OK}, {day(3), 23 * time.Hour, api.Warning}, {day(3), 7 * time.Hour, api.Critical},
	} {
		end := begin.Add(c.life)
		if got := issuerNotice.level(begin, end, end.Add(-c.left)); got != c.want {
			t.Errorf("a life of %s, and %s left: %s, want %s", c.life, c.left, got, c.want)
		}
	}
}
