// Who one is after connecting with pgx 4 or lib/pq as the environment's PG* variables say, or the SQLSTATE or words of a refusal.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	_ "github.com/jackc/pgx/v4/stdlib"
	_ "github.com/lib/pq"
)

func main() {
	db, err := sql.Open(os.Args[1], "")
	if err == nil {
		var name string
		if err = db.QueryRowContext(context.Background(), "SELECT current_user").Scan(&name); err == nil {
			fmt.Println(name)
			return
		}
	}
	var told interface{ SQLState() string }
	if errors.As(err, &told) {
		fmt.Println(told.SQLState())
	} else {
		fmt.Println(err)
	}
}
