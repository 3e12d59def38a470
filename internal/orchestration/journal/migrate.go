package journal

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/tutti-run/tutti/internal/orchestration"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if has > knows {
		return fmt.Errorf("its schema has version %d and this server knows none above %d: %w", has, knows, orchestration.ErrNewer)
	}
	_, err = p.Up(ctx)
	return err
}

// checkFormat refuses the format of a run that this code does not know.
func checkFormat(format int) error {
	if format > orchestration.SpecFormat {
		return fmt.Errorf("its run has format %d and this server knows none above %d: %w", format, orchestration.SpecFormat, orchestration.ErrNewer)
	}
	return nil
}

// formatOf is the format of a run among runs. Where SQLite cannot read the run's JSON,
// which may be nested too deep for it, that is 0: who reads its events will see.
const formatOf = `coalesce((SELECT iif(json_valid(events), json_extract(events, '$[0].data.spec.format'), 0)
	FROM commits WHERE run = id ORDER BY seq LIMIT 1), 0)`

// checkFormats looks at the runs that a driver would take up, before it takes up
// any: what it did to one of them could not be undone.
func checkFormats(ctx context.Context, db *sql.DB) error {
	var run string
	var format int
	err := db.QueryRowContext(ctx, `SELECT id, format FROM (SELECT id, `+formatOf+` AS format FROM runs WHERE ended = 0)
		WHERE format > ? LIMIT 1`, orchestration.SpecFormat).Scan(&run, &format)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = checkFormat(format)
	}
	return fmt.Errorf("run %s: %w", run, err)
}
