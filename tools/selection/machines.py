"""What people say about machines, code, networks and access; written as `hints.py` tells."""

from typing import Final

MACHINES: Final = """
crashloop crashlooping crashloopbackoff oomkilled restarting respawn flapping crashing > pod restart container
  status
containercreating imagepullbackoff errimagepull unschedulable backoff init crashloopbackoff > pod container describe
  condition event
come_up not_start won't_start doesn't_start not_starting stuck_pending > describe condition event state status pod
traceback stacktrace stack_trace stdout stderr console complain spit_out tail > log output line
cycle bounce rolling one_by_one pick_up_config fresh_pods > restart rollout
scale_up scale_down beef_up ramp_up more_instances fewer_instances spike autoscale double triple more_copies
  fewer_copies copies_of down_to_zero handle_traffic traffic_spike times_instead run_times instances_instead > scale
  replica deployment
cordon take_out maintenance kernel_update decommission empty_node workloads nothing_scheduled scheduled_there
  replace_the_disk swap_the_board take_offline hardware_work > drain node evict
kubelet worker workers cluster > node cluster
env environment_variable envvar settings setting variables > configmap config key value
reachable_under exposed hostname vhost ingress route_to > ingress host path
hog hogs hungry greedy eats eating gobble gobbling > memory cpu top process
no_space disk_full df filled_up almost_full running_full mount mountpoint partition volume > disk file_system full
  usage
du biggest heaviest fattest space_eater huge clean_up cleanup > largest big file folder
sluggish crawl crawls crawling slow slows laggy drag drags sticky lagging unbearable molasses > slow latency load
  duration
fan fans core cores busy saturated overloaded pegged > cpu load
hang hangs hung frozen unresponsive ctrl-c zombie runaway sigterm sigkill sighup stuck > process kill signal
hard_way by_force forcibly kill_9 > kill signal
script program app daemon job pid executable binary > process
systemctl daemon unit nginx apache postgres docker sshd cron redis > service systemd unit
crontab nightly every_night recurring_job periodic scheduled_job run_at run_night > cron scheduled job
apt yum brew not_found missing_command install_on package_manager htop curl tmux > install package
boot booted rebooted since_when last_boot switched_on > uptime boot
off_and_on power_cycle restart_machine restart_server > reboot
somebody_else anybody_else anyone_else who_else ssh_session > logged user
box machine server host vm > machine host server instance
open_file what's_in inside contents show_file etc config_file > read file content text
overwrite write_into save_as put_into > write file content
containing contains occurrence mentions grep_for look_through > grep search regular matching
zip tarball tgz archive pack bundle > compress archive folder
older_than bigger_than named_like ending_in > find file pattern
commit commits pushed merged landed changes_on recent_changes went_into happened_on_main what_changed_on recent_work
  > log commit branch
who_touched who_changed who_introduced who_broke whose_fault who_wrote culprit > blame changed line author
differ differs different_between changed_between between_versions since_version > diff difference revision
branch_off hotfix feature_branch > create branch
pr prs pull_requests merge_request mr > pull request
approvals squash rebase land > merge pull request
reviewer reviewers second_pair look_over four_eyes > review pull request
bug bugs broken misbehave crash doesn't_work does_nothing > issue bug problem ticket
wontfix shut_duplicate as_duplicate same_as already_reported won't_fix not_planned obsolete not_relevant user_error
  nothing_to_do not_a_bug works_as_intended by_design > close issue reason
tell_them write_under note_on mention_on chime_in > comment
dockerfile makefile readme package_json pyproject source_file > file repository content
function method class signature deprecated api_call used_across call_sites anywhere_code do_we_use anywhere_in_code
  is_there_code occurrences_in_code still_import imports library_used > search code source repository
changelog release_notes notes publish_version > release notes tag
pipeline build ci run job stage workflow jenkins actions > pipeline build job ci
lint linter compile compilation unit_tests e2e integration > pipeline job test build
printed output what_said why_failed see_log > log output job
green red passing passed broke failing flaky broken > status test failed state
another_go once_more give_another have_another kick_again re-run rerun retry flaky timed_out > retry again failed
abort never_mind wrong_branch call_off stop_running by_mistake_started make_it_stop oops > cancel stop
installer apk jar wheel exe download_build binaries > artifact file download
kick_off set_off fire > trigger start
ship roll_out go_live put_live out_to promote push_to release_to > deploy version environment application
went_out shipped last_deployed who_deployed been_released what_released > deployment history deployed version
broke since_release worse_than undo go_back back_to previous_version revert last_good as_before > rollback previous
  version undo
no_deployments no_releases code_freeze nobody_deploys stop_deploying black_friday > freeze deployment block
beta canary percent_users flag feature_on feature_off half_users dark_launch > feature flag toggle percentage
metric metrics prometheus promql timeseries node_load1 node_cpu rate_of gauge counter histogram > prometheus query
  expression
firing fire going_off beeping buzzing paging red_lights on_fire > alert active alarm incident
noise noisy shut_up stop_paging nagging stop_beeping false_alarm known_issue > silence mute alert
i'm_on on_it taking_it looking_into got_it i've_got > acknowledge incident working
site_down everything_down all_down nothing_works wake_someone declare sev1 sev2 sev3 major page > incident declare
  page engineer
inc incident outage postmortem dead_for down_for_everyone unusable > incident
over_now fixed_now back_normal all_clear recovered sorted > resolve resolved close solved
wake who_wake who_call whom_call call_night duty_tonight pager rota on_duty standby reach_tonight > call on_call
  engineer duty
take_shift cover_shift swap_shift my_shift instead_of fill_in > override duty while person
graph panel dashboard grafana picture_of > dashboard panel image grafana
span spans spends_time where_time hop_by request_id correlation > trace request span distributed
endpoint endpoints url urls route routes page_loads longest slowest p95 p99 p50 percentile > endpoint latency slow
  http
5xx 500s 4xx failing_requests fail_rate share_failed how_many_fail error_share > error rate failed request
nines three_nines 99_9 99_95 sla slo objective kept_promise keep_99 below_99 broke_promise our_promise guarantee
  how_available outages_in > uptime availability objective
responding respond load_at_all reachable still_up site_up answers_with 200 503 > check http endpoint url status
public_status tell_customers let_customers tell_world announce_outage degraded > status page public component
since_midnight since_noon errors_in any_errors exception exceptions stack peer reset datadog sentry kibana elk loki
  splunk > log search error
query select join rows_where count_rows reporting > sql query statement database
columns fields field foreign_key primary_key data_type schema_of looks_like table > table column describe
tables how_many_rows row_counts biggest_tables > table list row count
full_scan seq_scan scan_everything use_index query_plan use_the_index optimizer planner > explain plan statement
  execution
culprit culprits statements longest_running expensive_queries > slow query statement
deadlock blocking blocks_whom who_blocks waiting_for hold_lock locked_table hangs_on someone_holding holding_it
  doesn't_return never_returns waits_forever stuck_update in_the_way waits everything_waits who's_holding > lock
  block session
kick_session end_session kill_connection kill_query idle_transaction > terminate session database
replica replicas standby primary read_replica behind lag stale_data catch_up > replication lag replica
dropped accidentally by_accident deleted_wrong bring_back bring_up as_of point_in_time last_night's yesterday's
  copy_from recover rescue state_of get_back > restore backup
dump snapshot save_db copy_before before_touch safe_copy full_copy make_copy safety_copy copy_of_database
  just_in_case before_upgrade before_migration save_everything secure_copy before_the_migration before_we_touch >
  backup database
copies_have newest_backup verified > backup list
ttl cached cache key_value session_key cached_under stored_under > redis key value cache
wipe_cache clear_cache empty_cache flush > flush redis cdn cached
migration alembic flyway liquibase schema_change missing_column new_column new_columns alter_table pending_schema >
  migration schema pending apply
ec2 droplet vm vms box instances > virtual machine instance
too_small too_weak too_big larger_machine bigger_machine instance_type m5 t3 more_ram upsize downsize > resize
  machine type instance
bucket s3 blob object_storage > bucket object s3
temporary_link share_link link_expires outside_link download_link > presigned temporary link download
aws_bill cloud_bill azure gcp burned burning paying_amazon paying_aws hosting > cloud cost
threshold burned_through warn_us warn_when cap ceiling overspend > budget alert warning threshold
may_role allowed_to what_may entitled policy iam principal > permission role iam user
leaked_key exposed committed_key credential credentials pushed_key ended_up_on new_keys access_keys > rotate access
  key secret
invoke lambda function_with payload > lambda function invoke payload
backlog piled pile_up waiting_in how_much_waiting consumer worker keeping_up stuck_in unprocessed > queue waiting
  message
poison throw_all clear_out dead_letter dead-letter > purge queue remove
edge stale old_version still_see still_get still_old outdated_page cloudfront akamai > cdn cached invalidate
terraform infra infrastructure_code tfstate would_destroy destroy vpc subnet > terraform plan
nameserver mx cname txt aaaa a_record resolves resolve points_to point_at point_to subdomain > dns record name
packet_loss round_trip alive reachable answers_ping latency_to > ping host loss
hop hops packets get_stuck route_packets along_way through_which_routers router routers network_path
  connection_flaky unstable_connection > traceroute hop host
telnet listening listen accept_connections open_port can_reach 443 5432 3306 8080 > port tcp connection host
registrar domain_expire who_owns owns_domain domain_run > whois domain owner expiry
cert certificate ssl https padlock > tls certificate
runs_out expiring expires lapse about_expire > expiry renew
let_in whitelist allowlist open_for allow_from let_through through_to address_range office_ip come_through
  allowed_through punch_hole > firewall allow port address
who_in allowed_in rules_group inbound outbound whole_internet > firewall rule
from_home remote_workers tunnel wireguard openvpn > vpn connected
ip address_from in_the_world which_country_ip where_from come_from_ip geoip > geolocation ip country city
cve cves holes exploit exploitable outdated_packages insecure log4j dependency dependencies > vulnerability scan
  security known
container_image docker_image base_image registry > image scan container
vault secret secrets password_in passwords > secret vault
read_only_access let_into needs_access access_to give_rights grant permission_for as_admin as_viewer
  temporary_access > grant access role
shouldn't_have no_longer_needs take_rights remove_rights kick_from rights_away take_admin lose_access strip > revoke
  access role
who_can who_has_access who_may who_still may_do entitlements audit_access > access review system
forgot_password forgotten lost_password new_password forgot can't_remember doesn't_remember > reset password
locked_out mistyped too_many_times wrong_too too_often won't_let not_let_in five_times let_back typed_wrong > unlock
  account login failed
deactivate suspend close_login block_account lock_out suspend_account investigation fired_today shut_account
  close_account > disable user account
who_did who_deleted who_changed_setting trail compliance admin_console > audit log action actor
brute_force failed_sign bad_logins login_attempts wrong_passwords guessing > failed login attempt
ransomware malware trojan infected virus compromised phished encrypted_files off_network cut_off get_off >
  quarantine device network
2fa mfa authenticator second_factor otp totp yubikey two_factor two-factor > mfa factor enroll
pwned hacked hacks breach breaches leak leaked data_leak big_hack haveibeenpwned > leaked breach known password
laptop laptops phones_has macbook thinkpad patched patch_level os_version devices equipment_have > device inventory
  laptop
healthy alive copies copy running_in anything_down everything_ok > pod replica status
wedged misbehaving fresh_one recreate kick_pod > delete pod
one_before put_back old_one revision_before last_deploy_broke > undo rollback previous revision
all_out rolled_out still_rolling fully_out way_out through_yet > rollout status deployment
everything_off move_off move_everything hardware_swap reinstall > drain node
kubernetes k8s kube kubectl helm openshift namespace > k8s namespace pod
swapping swap paging > memory swap
journalctl journal service_say daemon_say > log journal service unit
room_left space_left how_full gigabytes_left gb_left filling fills > disk full usage
config.yml yaml ini conf toml > file text content
automatically_run runs_automatically at_3am every_hour timed > cron scheduled
stale_branches branches_exist open_branches > branch list
committing has_been_committing who_pushed last_commits history_of_branch > log commit
labelled labeled open_bugs still_open_in assigned_to_me > list issue label assignee
gitlab bitbucket github repo repos repository > github repository
go_through gone_through still_running_build finished_building push_through my_push > build status pipeline
onto_production onto_staging bring_live prod staging > environment production staging deploy
version_live which_version version_on what's_on_prod running_on_production > deployment history version
switches_on which_flags feature_switches > list feature flag
pagerduty opsgenie > incident alert call
what_time_spend slow_request where_request trace_id > trace request span
last_backup good_copy how_old_backups restore_point > backup list database
postgres mysql mariadb oracle mssql sqlite mongo > database server
by_hand manually_run run_function trigger_function execute run_now call_the_function > lambda invoke function
apply_plan go_ahead_plan roll_out_infrastructure plan_looks plan_is plan_fine apply_it infrastructure_change >
  terraform apply plan
mail_servers mail_server which_ip what_ip ip_of ip_behind > dns lookup resolve host
who_issued issued_by issuer valid_until still_valid > certificate tls issuer expiry
dialled_in dialed_in connected_remotely tunnel_up > vpn connected people
delete_object get_file_out out_of_bucket copy_to_disk local_copy pull_down > download object local
put_into_bucket copy_to_bucket into_bucket push_to_bucket > upload bucket local file
kafka rabbitmq sqs celery nats topic_lag > queue message waiting
server_errors throws_500 throwing erroring blowing_up > error rate failed
responsible_tonight cover_for_me can't_do_my takes_pager reachable_for_me stands_in steps_in > override call duty
muting quieten quiet_for ignore_alert maintenance_window planned_work bother bothering bothers annoying spamming_us
  we_know_about stop_telling stop_pinging leave_us_alone be_paged don't_page paged_for page_me no_pages > silence
  alert mute
open_port block_port traffic_from reach_port > firewall port allow
what_ports network_rules security_group security_groups > firewall rule group
fork clone checkout pull_latest > branch repository
changelog_for tagged version_tag mark_commit > tag release commit
merge_conflict conflicts rebase_on > merge branch
typo_in_code refactor rename_function > search code
memory_leak oom out_of_memory eating_ram > memory pod process
box_up long_running machine_up been_up > uptime machine up
contractor intern temp temporarily freelancer external auditor > access role grant expires
phishing clicked_link opened_attachment suspicious weird_popup > quarantine device malware
new_phone lost_phone authenticator_app > mfa factor user
entra okta sso ldap active_directory > user account login access
went_on_holiday former ex-employee ex-colleague no_longer_works no_longer_here > disable revoke account user
who_exported who_logged who_touched_settings changed_setting switched_off_who > audit log who
everywhere_yet everywhere_already still_coming finished_rolling coming_up_still > rollout status
through_which which_domain leads_to get_to_service routed > ingress host path service
what's_set value_of log_level > configmap value config
room_on room_left_on left_on_disk gigabyte gigabytes terabyte > disk usage full file
what_write what_did_write wrote_since not_come_up what_did_log > log journal service
bigger_than larger_than older_than_year untouched nobody_touched over_gb all_files files_over > find file size older
write_under say_under add_to_issue answer_issue respond_on > comment issue
propose propose_for ready_for_main into_main my_branch open_mr > create pull request branch
pushed_wrong wrong_commit stop_it_running stop_run kill_build kill_run > cancel build pipeline stop
500 502 503 504 404 end_in ended_in went_wrong > error failed request rate
publicly let_the_world tell_everybody public_page inform_customers inform_users > public status page
cached_for stay_in expires_when time_to_live how_long_stay > redis key live value
which_boxes what_boxes our_boxes our_vms running_in_region eu-west eu-central us-east > list instance virtual
  machine
wake_up_machine wake_up_instance boot_it boot_up bring_machine power_on power_up turn_machine_on > start instance
  virtual machine
shut_it_off shut_off shut_down turn_machine_off power_down power_off switch_machine_off > stop instance virtual
  machine
safe_to_run image_clean is_image registry_image container_safe > scan image container cve
get_into should_get_into needs_to_get be_able_to let_her_use let_him_use > access role system person grant
shouldn't_be_able not_able_any must_not_get changed_teams no_access > revoke access role system
guess guessing keeps_trying somebody_trying > failed login attempt password
complain complains what_went went_wrong_with look_into_why > error log
deploys releases went_live_when > deployment history
clean_install reinstall os_version kernel_version > package version install
listens open_ports exposed_ports > port
certs wildcard_cert lets_encrypt not_private privacy_error chrome_says browser_says > certificate tls
outdated_library libraries_with_holes library > dependency package vulnerability
under_pressure under_load under_strain struggling strained working_hard stressed overwhelmed at_its_limit
  at_the_limit > load cpu busy
free_up worth_deleting space_wasters gigs gig clear_space make_room free_gigabytes > largest file disk
with_the_words with_just containing_only that_contains > write content
still_use still_uses still_refer refers_to use_port which_configs which_files > grep search lines file
on_this_box on_this_machine on_this_server install_on we_need_on > install package machine
ask_to_check check_before_merge before_we_merge have_check > request review pull
compile_step step_of step_failed which_step > job log output pipeline
nobody_touches hands_off don't_touch_prod no_changes change_freeze holidays_prod production_until > freeze
  deployment block production
visible_to show_to_everybody show_to_all hidden_from turn_on_for enable_for_users > feature flag toggle environment
timeout timeouts timed_out warnings stack_traces logged_by > search log error
officially back_online back_up_again publicly_tell tell_users > status page public operational message
take_so_long takes_so_long take_long why_slow inefficient does_it_use > explain plan slow statement
keeping_it_busy hammering expensive database_limit > slow query statement database
url_for works_for_minutes valid_for link_valid anyone_can_download one_time_link > temporary link presigned download
  object
load_the_previous visitors_load visitors_still browsers_still previous_one_still css js stylesheet static_assets >
  cdn cached invalidate page
where_does_point resolve_to map_to which_address domain_points > dns lookup resolve host name
add_a_record add_cname add_txt verification_record > dns set record zone
going_red browser_warning browser_complains not_secure insecure_warning > certificate renew tls
may_talk can_talk talk_to_servers who_can_reach allowed_to_reach > firewall rule allow
mailer smtp imap > mail server
got_out has_leaked was_posted in_plain_text change_it > rotate secret
has_admin has_access admins_in administrators power_users > access review role system
look_into_system needs_to_look > access role grant
find_out_who who_exported_what which_admin > audit log
bandwidth throughput congestion > network latency host
null_pointer nullpointer segfault panic core_dump > log error output
won't_exit won't_die won't_close won't_quit doesn't_quit finish_it_off > kill process signal
that_thing_called file_called on_this_disk folder_called > find file
second_time a_third_time try_it_again > retry again
into_the_wild to_customers_version > deploy version production
former_one former_release earlier_release older_release killed_the broke_the release_killed bad_release > rollback
  version previous
has_anything_mentioned in_the_backend backend_today > log search
take_ages takes_ages forever_to_load endless minutes_to_load > slow latency long
how_it_was as_it_was before_the_import somewhere_separate separate_copy earlier_state > restore backup database
new_tables create_tables add_tables schema_on > migration schema pending
refresh_cache frontpage homepage > cached page
should_lead_to lead_to load_balancer new_ip new_server_ip > dns record set
lapse competitor's_site lapsing name_free > domain expiry whois
garbage rubbish_in full_of > purge empty
login_word new_login passcode pin_code no_idea_what typed_as > password reset
exit exits exits_right dies_at_start terminating won't_terminate > pod log delete
hammered flooded swamped peak rush > scale replica load
new_image image_of replaced_by_now ran_before > rollout deployment status
quota takes_most > cpu memory top
complaining_about kubernetes_complain > event warning namespace
fresh_start patched > reboot restart
off_of_develop open_up_branch work_branch > branch create
leave_a_note > comment note
turn_off_for turn_on_for switch_off_for > feature flag toggle
store_for stored_for > key value
what's_behind_that doubled tripled bill_doubled > cost
role_do user_do > permission role iam
fire_off > invoke start trigger
bogus_jobs jobs_sit sits_in > queue message purge
saved_changes > apply
handles_mail > dns mx lookup
token tokens api_key > secret rotate
no_more_looking > access revoke
abused compromised_account misused > disable account user
strange_country > failed login
second_step no_second > mfa factor
notebook notebooks up_to_date tablet chromebook > device laptop inventory patch
"""
