package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"waterlock/internal/exit"
)

// sizeFlag reads a flag such as "1GiB", "500MB", "4TB" or "0". An empty one is
// the given default.
func sizeFlag(c *cli.Context, name string, unset int64) (int64, error) {
	text := c.String(name)
	if text == "" {
		return unset, nil
	}
	n, err := parseSize(text)
	if err != nil {
		return 0, exit.Errorf(exit.Usage, "--%s %q is not a size: give one like 500MB, 1GiB or 4TB", name, text)
	}
	return n, nil
}

func parseSize(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] < '0' || text[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	n, err := humanize.ParseBytes(text)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt64 {
		return 0, strconv.ErrRange
	}
	return int64(n), nil
}

// shareFlag reads a flag such as "10%" or "0.1" as a share between 0 and 1. An
// empty one is 1.
func shareFlag(c *cli.Context, name string) (float64, error) {
	text := strings.TrimSpace(c.String(name))
	if text == "" {
		return 1, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share > 0 && share <= 1) {
		return 0, exit.Errorf(exit.Usage, "--%s %q is not a share: give one like 10%%", name, text)
	}
	return share, nil
}
